// Package fragment makes, signs, verifies and distributes policy fragments: signed Rego
// that adds containers to a confidential container group whose top-level policy imports
// the fragment's issuer and feed. The top-level policy, and with it HOST_DATA and the
// release policy of a key, stay the same when an image changes.
//
//	container, err := fragment.FromImage(ctx, image, platform)
//	text, err := fragment.Compose(fragment.Spec{Namespace: "contoso", SVN: 3, Containers: []execpolicy.Container{container}})
//	signed, err := fragment.Sign(text, fragment.Signature{Key: key, Chain: chain, Issuer: issuer, Feed: feed})
//	verified, err := fragment.Parse(signed)
//	rule := verified.Import()
//
// A signed fragment is a COSE_Sign1 of the Rego text whose signer is named by did:x509,
// the same form as the endorsement of a utility VM (microsoft/cosesign1go; microsoft/
// confidential-aci-examples, examples/fragments). It travels with the image as an OCI
// artifact: see [Attach].
//
// The package does not decide whose fragments are acceptable. The import rules of the
// top-level policy do, and the utility VM enforces them.
package fragment

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"skr/internal/operator/execpolicy"
)

// FrameworkVersion is the version of the utility VM's framework that the written Rego is
// for: that of confcom for deployed platforms (azext_confcom/config.py,
// DEFAULT_POLICY_FRAMEWORK_VERSION).
const FrameworkVersion = "0.2.3"

// Spec is what a fragment says.
type Spec struct {
	// Namespace is the Rego package: a word that no part of the utility VM uses.
	Namespace string
	// SVN is the security version number; raise it when older fragments must not run any more.
	SVN uint64
	// Containers that the fragment admits.
	Containers []execpolicy.Container
	// Imports of further fragments.
	Imports []execpolicy.Import
}

// reserved are the namespaces of the utility VM's own modules (microsoft/hcsshim,
// pkg/securitypolicy, securitypolicyenforcer_rego.go: reservedNamespaces).
var reserved = []string{"policy", "api", "framework", "metadata"}

// word is a name that the utility VM accepts (validNamespaceRegex).
var word = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,62}$`)

func checkNamespace(name string) error {
	switch {
	case slices.Contains(reserved, name):
		return fmt.Errorf("namespace %q belongs to the utility VM; choose another package name", name)
	case !word.MatchString(name):
		return fmt.Errorf("namespace %.100q must be a word of letters, digits and _", name)
	}
	return nil
}

func (s Spec) check() error {
	if err := checkNamespace(s.Namespace); err != nil {
		return err
	}
	if len(s.Containers) == 0 && len(s.Imports) == 0 {
		return errors.New("a fragment needs at least one container or import")
	}
	return nil
}

// Compose writes the fragment's Rego and reads it back.
func Compose(s Spec) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	imports, err := json.MarshalIndent(nonNil(s.Imports), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding imports: %w", err)
	}
	containers, err := encodeContainers(s.Containers)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("package %s\n\nsvn := %q\nframework_version := %q\n\nfragments := %s\n\ncontainers := %s\n",
		s.Namespace, strconv.FormatUint(s.SVN, 10), FrameworkVersion, imports, containers)
	if err := Check([]byte(text)); err != nil {
		return nil, fmt.Errorf("reading the fragment back: %w", err)
	}
	return []byte(text), nil
}

// encodeContainers writes one container a line, as confcom does.
func encodeContainers(all []execpolicy.Container) (string, error) {
	lines := make([]string, len(all))
	for i, c := range all {
		text, err := json.Marshal(c)
		if err != nil {
			return "", fmt.Errorf("encoding container %q: %w", c.Name, err)
		}
		lines[i] = string(text)
	}
	return "[" + strings.Join(lines, ",\n") + "]", nil
}

func nonNil[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
