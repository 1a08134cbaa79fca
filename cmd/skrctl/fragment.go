package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"skr/internal/cli"
	"skr/internal/operator/execpolicy"
	"skr/internal/operator/fragment"
	"skr/internal/refusal"
)

const (
	maxSignerFile = 64 << 10        // an EC key, or a chain of certificates
	registryTime  = 2 * time.Minute // to attach or fetch fragments
	imageTime     = time.Hour       // to read the layers of images
)

func fragmentCommand(io cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fragment",
		Short: "Make, sign, verify and distribute policy fragments",
		Long: "A policy fragment is signed Rego that adds containers to a confidential container group whose execution policy\n" +
			"imports it. The hash of the execution policy, and with it the release policy of a key, stays the same when an\n" +
			"image changes: docs/fragments.md.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(fragmentNewCommand(io), fragmentSignCommand(io), fragmentVerifyCommand(io), fragmentShowCommand(io),
		fragmentRuleCommand(io), fragmentAttachCommand(io), fragmentFetchCommand(io))
	return cmd
}

// untrustedError has exit code 6: what was given must not be trusted.
type untrustedError struct{ cause error }

func (e *untrustedError) Error() string   { return e.cause.Error() }
func (e *untrustedError) Unwrap() []error { return []error{e.cause, refusal.Untrusted} }

// coseSign1 begins a tagged COSE_Sign1 (RFC 9052 section 4.2).
var coseSign1 = []byte{0xd2, 0x84}

func readFragmentFile(path string, in io.Reader) ([]byte, error) {
	data, err := cli.ReadInput(path, execpolicy.MaxBytes, in)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	return data, nil
}

// readSigned reads and verifies a signed fragment.
func readSigned(path string, in io.Reader) (*fragment.Fragment, []byte, error) {
	data, err := readFragmentFile(path, in)
	if err != nil {
		return nil, nil, err
	}
	if !bytes.HasPrefix(data, coseSign1) {
		return nil, nil, cli.BadUsage(fmt.Errorf("%s: it is not a signed fragment (COSE_Sign1); skrctl fragment sign makes one", path))
	}
	f, err := fragment.Parse(data)
	if err != nil {
		return nil, nil, &untrustedError{fmt.Errorf("%s: %w", path, err)}
	}
	return f, data, nil
}

// withImage opens an image and acts on it within a time.
func withImage(ctx context.Context, name string, within time.Duration, act func(context.Context, fragment.Image) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	image, err := fragment.Open(ctx, name)
	if err != nil {
		return cli.BadUsage(err)
	}
	return asRefusal(act(ctx, image))
}

// asRefusal gives an error of a registry its exit code: 3 if the registry answered that it has
// no such image or that the caller may not, 4 if it cannot be reached.
func asRefusal(err error) error {
	if err == nil {
		return nil
	}
	kind := error(refusal.Unavailable)
	answer, isAnswer := errors.AsType[*errcode.ErrorResponse](err)
	if errors.Is(err, errdef.ErrNotFound) || isAnswer && answer.StatusCode >= 400 && answer.StatusCode < 500 {
		kind = refusal.ManagementRejected
	}
	return &registryError{err, kind}
}

type registryError struct{ cause, kind error }

func (e *registryError) Error() string   { return e.cause.Error() }
func (e *registryError) Unwrap() []error { return []error{e.kind, e.cause} }
