// Package hostdata says what HOST_DATA a workload will have, before it runs.
//
// The host of a confidential container measures the policy that says what may run
// in the guest: HOST_DATA of the report, and with it the claim
// x-ms-sevsnpvm-hostdata, is the SHA-256 of that policy's text. The text stands in
// what is deployed, in base64:
//
//	policies, err := hostdata.Read(file) // a manifest, a template, or the policy
//	for _, p := range policies {
//		fmt.Println(p.Digest(), p.Source())
//	}
//
// [Read] takes a policy (Rego) as text or in standard base64; Kubernetes manifests
// with the annotation io.katacontainers.config.agent.policy or
// microsoft.containerinstance.virtualnode.ccepolicy on any object or pod template;
// and ARM templates and deployed container groups with ccePolicy.
//
// It does not read the policy itself: whether it allows what it should, and nothing
// else, is not asked here.
package hostdata

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxFile bounds a file in bytes. Policies of containers with hundreds of layers
// have some megabytes, and a manifest may hold several.
const maxFile = 32 << 20

// Policy is the text that the platform measures.
type Policy struct {
	source string
	digest [sha256.Size]byte
}

func newPolicy(source string, text []byte) Policy {
	return Policy{source, sha256.Sum256(text)}
}

// Source says where in the file the policy stands, such as `Pod "kafka"`.
func (p Policy) Source() string { return p.source }

// Digest is the HOST_DATA of a workload with this policy, as tokens and release
// policies write it: 64 hexadecimal digits in lower case.
func (p Policy) Digest() string { return hex.EncodeToString(p.digest[:]) }

// Read finds the policies in a file, at least one.
func Read(data []byte) ([]Policy, error) {
	policies, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("reading the workload: %w", err)
	}
	return policies, nil
}

func read(data []byte) ([]Policy, error) {
	switch {
	case len(data) > maxFile:
		return nil, fmt.Errorf("the file is longer than %d bytes", maxFile)
	case !utf8.Valid(data):
		return nil, errors.New("the file is not UTF-8 text")
	case isRego(data):
		return []Policy{newPolicy("policy", data)}, nil
	}
	if text, err := decode(string(data)); err == nil {
		if !isRego(text) {
			return nil, errors.New("the file is base64, but not of a policy in Rego")
		}
		return []Policy{newPolicy("policy in base64", text)}, nil
	}
	return readDocuments(data)
}

// isRego says whether text begins as each Rego module does, with its package
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

// decode takes standard base64, as the tools write it, with line breaks as
// base64(1) takes them.
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
