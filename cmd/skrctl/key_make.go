package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
	"skr/internal/refusal"
)

// newKey is a key to create or import.
type newKey struct {
	name     string
	options  keyOptions
	material *hsm.Key // nil: the vault generates the key
}

func makeKey(cmd *cobra.Command, w newKey, env config.Environment, streams cli.Streams) error {
	if err := cli.CheckOutput(w.options.output); err != nil {
		return err
	}
	desk, err := openKeyDesk(cmd, env, streams)
	if err != nil {
		return err
	}
	request, err := w.request(desk, streams.Err)
	if err != nil {
		return err
	}
	if w.options.dryRun {
		return printPreview(request, desk.settings.VaultAPIVersion, w.options.output, streams.Out)
	}
	files, err := newKeyFiles(w.options.directory, request.ID().Name(), w.options.newVersion, w.options.replace)
	if err != nil {
		return err
	}
	defer files.discard()
	ctx, cancel := context.WithTimeout(cmd.Context(), desk.settings.RequestTimeout)
	defer cancel()
	key, err := w.send(ctx, desk, request, streams)
	if err != nil {
		return err
	}
	return files.finish(key, request.Size(), w.options.output, streams.Out)
}

// request parses all input and checks the policy, before anything is sent.
func (w newKey) request(desk *keyDesk, warnings io.Writer) (*provision.Request, error) {
	o := &w.options
	id, err := desk.parseKey(o.vault, w.name)
	if err != nil {
		return nil, err
	}
	o.policy.authorities = desk.names().all(o.policy.authorities)
	policy, err := o.policy.load()
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	spec := provision.Spec{
		ID: id, Type: o.kty, Size: o.size, Curve: o.curve, Operations: o.ops, Policy: policy, Immutable: o.immutable,
		Material: w.material,
	}
	if err := o.parse(&spec); err != nil {
		return nil, cli.BadUsage(err)
	}
	request, err := provision.NewRequest(spec)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	for _, text := range request.Warnings() {
		_, _ = fmt.Fprintf(warnings, "skrctl: warning: %s\n", text) // a warning that cannot be printed is lost
	}
	return request, o.policy.check(policy, o.immutable, warnings)
}

func (w newKey) send(ctx context.Context, desk *keyDesk, request *provision.Request, streams cli.Streams) (*provision.Key, error) {
	vault, err := w.options.visit(ctx, desk, request.ID().Vault(), streams.In)
	if err != nil {
		return nil, err
	}
	present, err := vault.Read(ctx, request.ID())
	switch {
	case errors.Is(err, refusal.KeyNotFound):
	case err != nil:
		return nil, err
	case !w.options.newVersion:
		return nil, refusal.Newf(refusal.ManagementRejected,
			"the key %q exists; to give it to another pod, use skrctl key policy allow, for new material skrctl key rotate; else choose another name",
			present.ID)
	default:
		warnOfChange(present, request, streams.Err)
	}
	return vault.Make(ctx, request)
}

// warnOfChange warns if the new version has a different policy: requests without a version
// get the new one.
func warnOfChange(present *provision.Key, request *provision.Request, out io.Writer) {
	if err := provision.SamePolicy(present, request.Policy()); err != nil {
		_, _ = fmt.Fprintf(out, "skrctl: warning: version %q has a different release policy than the new version\n",
			present.ID.Version()) // a warning that cannot be printed is lost
	}
}

func printPreview(request *provision.Request, apiVersion, output string, out io.Writer) error {
	preview, err := request.Preview(apiVersion)
	if err != nil {
		return err
	}
	if output == "json" {
		return json.NewEncoder(out).Encode(preview)
	}
	body, err := json.MarshalIndent(preview.Body, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s %s\n\n%s\n\nrelease_policy.data is this in base64url:\n\n%s\n",
		preview.Method, preview.URL, body, strings.TrimSpace(string(request.Policy().Raw())))
	return err
}
