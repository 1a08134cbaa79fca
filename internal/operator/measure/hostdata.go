// Package measure computes the HOST_DATA of a workload before it runs.
//
// The host of a confidential container measures the execution policy, which defines what may
// run in the guest: HOST_DATA of the report, and with it the claim x-ms-sevsnpvm-hostdata, is
// the SHA-256 of the policy's text. What is deployed contains that text in base64:
//
//	policies, err := measure.Read(file) // a manifest, a template, or the policy
//	for _, p := range policies {
//		fmt.Println(p.Digest(), p.Source())
//	}
//
// [Read] accepts a policy (Rego) as text or in standard base64; Kubernetes manifests
// with the annotation io.katacontainers.config.agent.policy or
// microsoft.containerinstance.virtualnode.ccepolicy on any object or pod template; ARM
// templates, their parameter files and deployed container groups with ccePolicy; and
// Kata's initdata, whose digest replaces the policy's.
//
// Of the policy itself, the package reports whether it allows everything, and which
// fragments it imports.
package measure

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"skr/internal/operator/execpolicy"
	"skr/internal/textfile"
)

// maxFile bounds a file in bytes. Policies of containers with hundreds of layers
// have some megabytes, and a manifest may hold several.
const maxFile = 32 << 20

// Policy is the text that the platform measures.
type Policy struct {
	source    string
	namespace string
	digest    [sha256.Size]byte
	open      bool
	rego      *execpolicy.Policy // nil if it cannot be read as Rego
	warnings  []string
}

func newPolicy(source string, text []byte) Policy {
	p := Policy{source: source, digest: sha256.Sum256(text)}
	p.inspectRego(text)
	return p
}

// inspectRego notes whether a policy in Rego allows everything and what it imports. Text that
// is not Rego is measured all the same: what cannot run, runs nothing.
func (p *Policy) inspectRego(text []byte) {
	policy, err := execpolicy.Parse(text)
	if err != nil {
		return
	}
	if policy.AllowsEverything() {
		p.open = true
		p.warn("this policy allows every container: its HOST_DATA identifies no workload")
	}
	p.rego = policy
	if policy.Custom() && !policy.AllowsEverything() {
		p.warn("this policy decides about containers with rules of its own, which are not evaluated here: read them before you rely on its HOST_DATA")
	}
	if policy.Unread != nil {
		p.warn("this policy was not read as a whole, so that imports may be missing here: " + strings.ReplaceAll(policy.Unread.Error(), "\n", "; "))
	}
	for _, f := range policy.Findings() {
		p.warn(f.Text)
	}
}

// Rego returns what the policy says, or nil if it is not Rego.
func (p Policy) Rego() *execpolicy.Policy { return p.rego }

// Imports returns the rules by which the policy admits containers of signed fragments. Those
// containers change without a change of HOST_DATA.
func (p Policy) Imports() []execpolicy.Import {
	if p.rego == nil {
		return nil
	}
	return p.rego.Imports
}

// AllowsEverything reports whether the text shows that any container may run under this
// policy. Its HOST_DATA then identifies no workload.
func (p Policy) AllowsEverything() bool { return p.open }

func (p *Policy) warn(text string) { p.warnings = append(p.warnings, p.source+": "+text) }

// Warnings returns what to consider before a release policy depends on the digest.
func (p Policy) Warnings() []string { return p.warnings }

// Source returns the place of the policy in the file, such as `Pod "kafka"`.
func (p Policy) Source() string { return p.source }

// Namespace returns the Kubernetes namespace of the object that has the policy, or "" if the file
// does not name one.
func (p Policy) Namespace() string { return p.namespace }

// Digest returns the HOST_DATA of a workload with this policy, as in tokens and release
// policies: 64 hexadecimal digits in lower case.
func (p Policy) Digest() string { return hex.EncodeToString(p.digest[:]) }

// Read finds the policies in a file, at least one.
func Read(data []byte) ([]Policy, error) {
	policies, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("reading the workload: %w", err)
	}
	return policies, nil
}

func read(file []byte) ([]Policy, error) {
	data := textfile.UTF8(file)
	switch {
	case len(file) > maxFile:
		return nil, fmt.Errorf("the file is longer than %d bytes", maxFile)
	case len(file) != len(data) && isRego(data):
		return nil, errors.New("the policy is measured byte for byte: save it as UTF-8 without a byte order mark")
	case !utf8.Valid(data):
		return nil, errors.New("the file is not UTF-8 text")
	case isRego(data):
		return []Policy{newPolicy("policy", data)}, nil
	}
	if isInitdata(data) {
		p, err := readInitdata(data, "initdata")
		return []Policy{p}, err
	}
	if text, err := decode(string(data)); err == nil {
		if isGzip(text) {
			p, err := readInitdata(text, "initdata in base64")
			return []Policy{p}, err
		}
		if !isRego(text) {
			return nil, errors.New("the file is base64, but not of a policy in Rego")
		}
		return []Policy{newPolicy("policy in base64", text)}, nil
	}
	return readDocuments(data)
}

// isRego reports whether text begins like a Rego module, with its package
// ("Policy Language", Open Policy Agent: Modules), after comments.
func isRego(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return bytes.HasPrefix(line, []byte("package ")) || bytes.HasPrefix(line, []byte("package\t"))
		}
	}
	return false
}

// decode decodes standard base64, as the tools write it. Line breaks are allowed, as in
// base64(1).
func decode(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, errors.New("it is empty")
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("it is not standard base64")
	}
	return decoded, nil
}
