package uvm

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Where platforms put the security context: Confidential ACI mounts a
// directory with a random suffix (microsoft/confidential-aci-examples,
// docs/Confidential_ACI_SCHEME.md), Kata's utility VM image holds a fixed one
// (CCF, doc/operations/platforms/snp.rst).
const (
	directoryPattern = "security-context-*"
	kataDirectory    = "opt/confidential-containers/share/kata-containers"
)

// Files of the directory and the variables that stand in for them.
const (
	policyFile            = "security-policy-base64"
	hostCertificateFile   = "host-amd-cert-base64"
	referenceInfoFile     = "reference-info-base64"
	policyVariable        = "UVM_SECURITY_POLICY"
	hostCertificateVar    = "UVM_HOST_AMD_CERTIFICATE"
	referenceInfoVariable = "UVM_REFERENCE_INFO"
)

const maxFile = 1 << 20 // a CCE policy of a large container group has some 100 KB

// Config says where the security context is.
type Config struct {
	// Directory holds the three files. "" means the first /security-context-*,
	// else the directory of Kata's utility VM.
	Directory string
	// Policy, HostCertificate and ReferenceInfo are base64 texts, each used
	// when its file is missing: the values of UVM_SECURITY_POLICY,
	// UVM_HOST_AMD_CERTIFICATE and UVM_REFERENCE_INFO. "" means none.
	Policy, HostCertificate, ReferenceInfo string
}

// SecurityContext is what the platform gives a container group. Each part may
// be missing, independently of the others.
type SecurityContext struct {
	// Policy is the decoded CCE policy; its SHA-256 is HOST_DATA. nil if none.
	Policy []byte
	// HostCertificate is the decoded THIM document. nil if none.
	HostCertificate []byte
	// Endorsement is nil if none.
	Endorsement *Endorsement

	referenceInfo string
}

// ReferenceInfo is the base64 of the endorsement as the platform wrote it, but
// for white space around it; "" if there is none.
func (s *SecurityContext) ReferenceInfo() string { return s.referenceInfo }

// Load reads the security context. A missing part is no error; a malformed one
// is, and the error names the file or variable.
func Load(c Config) (*SecurityContext, error) {
	context, err := load(c, os.DirFS("/"))
	if err != nil {
		return nil, fmt.Errorf("uvm: loading the security context: %w", err)
	}
	return context, nil
}

// load reads below root, which is the root of the file system but in tests.
func load(c Config, root fs.FS) (*SecurityContext, error) {
	directory, err := c.directory(root)
	if err != nil {
		return nil, err
	}
	policy, err := readPart(root, path.Join(directory, policyFile), policyVariable, c.Policy)
	if err != nil {
		return nil, err
	}
	certificate, err := readPart(root, path.Join(directory, hostCertificateFile), hostCertificateVar, c.HostCertificate)
	if err != nil {
		return nil, err
	}
	reference, err := readPart(root, path.Join(directory, referenceInfoFile), referenceInfoVariable, c.ReferenceInfo)
	if err != nil {
		return nil, err
	}
	endorsement, err := reference.endorsement()
	if err != nil {
		return nil, err
	}
	return &SecurityContext{policy.decoded, certificate.decoded, endorsement, reference.text}, nil
}

// directory is relative to the root, as io/fs wants it.
func (c Config) directory(root fs.FS) (string, error) {
	if c.Directory != "" {
		absolute, err := filepath.Abs(c.Directory)
		return path.Join(".", filepath.ToSlash(absolute[1:])), err
	}
	found, err := fs.Glob(root, directoryPattern) // sorted
	if err != nil {
		return "", err
	}
	for _, name := range found {
		if info, err := fs.Stat(root, name); err == nil && info.IsDir() {
			return name, nil
		}
	}
	return kataDirectory, nil
}

// part is one file of the context, or the variable that stands in for it.
type part struct {
	origin  string // for errors
	text    string
	decoded []byte
}

func readPart(root fs.FS, name, variable, fallback string) (part, error) {
	p := part{origin: "/" + name}
	text, err := readFile(root, name)
	switch {
	case err == nil:
		p.text = strings.TrimSpace(text)
	case errors.Is(err, fs.ErrNotExist):
		p.origin, p.text = variable, strings.TrimSpace(fallback)
	default:
		return part{}, fmt.Errorf("reading %s: %w", p.origin, err)
	}
	if p.text == "" {
		return part{}, nil
	}
	compact := strings.Join(strings.Fields(p.text), "")
	if p.decoded, err = base64.StdEncoding.Strict().DecodeString(compact); err != nil {
		return part{}, fmt.Errorf("reading %s: %w", p.origin, err)
	}
	return p, nil
}

func (p part) endorsement() (*Endorsement, error) {
	if p.decoded == nil {
		return nil, nil
	}
	endorsement, err := parseEndorsement(p.decoded)
	if err != nil {
		return nil, fmt.Errorf("parsing the endorsement of %s: %w", p.origin, err)
	}
	return endorsement, nil
}

func readFile(root fs.FS, name string) (text string, err error) {
	file, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxFile {
		return "", fmt.Errorf("has more than %d bytes", maxFile)
	}
	return string(content), nil
}
