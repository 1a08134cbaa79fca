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

// Places of the security context. Confidential ACI mounts a directory with a random suffix
// (microsoft/confidential-aci-examples, docs/Confidential_ACI_SCHEME.md). Kata's utility VM
// image contains a fixed directory (CCF, doc/operations/platforms/snp.rst).
const (
	directoryPattern = "security-context-*"
	kataDirectory    = "opt/confidential-containers/share/kata-containers"
)

// Files of the directory and the variables that replace them.
const (
	policyFile            = "security-policy-base64"
	hostCertificateFile   = "host-amd-cert-base64"
	referenceInfoFile     = "reference-info-base64"
	policyVariable        = "UVM_SECURITY_POLICY"
	hostCertificateVar    = "UVM_HOST_AMD_CERTIFICATE"
	referenceInfoVariable = "UVM_REFERENCE_INFO"
)

const maxFile = 1 << 20 // a CCE policy of a large container group has about 100 KB

// Config says where the security context is.
type Config struct {
	// Directory contains the three files. "" means the first /security-context-*,
	// or the directory of Kata's utility VM.
	Directory string
	// Policy, HostCertificate and ReferenceInfo are base64 texts that replace missing
	// files: the values of UVM_SECURITY_POLICY, UVM_HOST_AMD_CERTIFICATE and
	// UVM_REFERENCE_INFO. "" means none.
	Policy, HostCertificate, ReferenceInfo string
}

// SecurityContext is what the platform provides to a container group. Each part may be
// missing or unusable, independently of the others. Then it is nil, and its error says why
// a part that is present cannot be used.
type SecurityContext struct {
	// DirectoryErr says why Config.Directory cannot be used; nil if it can be used or is
	// "".
	DirectoryErr error
	// Policy is the decoded CCE policy; its SHA-256 is HOST_DATA.
	Policy    []byte
	PolicyErr error
	// HostCertificate is the decoded THIM document. It has not been parsed.
	HostCertificate    []byte
	HostCertificateErr error
	// Endorsement is verified.
	Endorsement    *Endorsement
	EndorsementErr error

	referenceInfo string
}

// ReferenceInfo returns the endorsement in base64, exactly as the platform wrote it except
// for surrounding white space; "" without an Endorsement.
func (s *SecurityContext) ReferenceInfo() string { return s.referenceInfo }

// Load reads the security context. A missing part is not an error. The returned context is
// never nil and has all parts that can be used. The error joins the errors of its fields,
// each of which names the file or variable.
func Load(c Config) (*SecurityContext, error) {
	context, err := load(c, os.DirFS("/"))
	if err != nil {
		return context, fmt.Errorf("loading the security context: %w", err)
	}
	return context, nil
}

// load reads below root, which is the root of the file system except in tests.
func load(c Config, root fs.FS) (*SecurityContext, error) {
	s := &SecurityContext{}
	var directory string
	if directory, s.DirectoryErr = c.directory(root); s.DirectoryErr != nil {
		directory = ""
	}
	read := func(name, variable, fallback string) (part, error) {
		if directory == "" {
			return decodePart(variable, fallback)
		}
		return readPart(root, path.Join(directory, name), variable, fallback)
	}
	var policy, certificate, reference part
	policy, s.PolicyErr = read(policyFile, policyVariable, c.Policy)
	certificate, s.HostCertificateErr = read(hostCertificateFile, hostCertificateVar, c.HostCertificate)
	if reference, s.EndorsementErr = read(referenceInfoFile, referenceInfoVariable, c.ReferenceInfo); s.EndorsementErr == nil {
		s.Endorsement, s.EndorsementErr = reference.endorsement()
	}
	if s.Endorsement != nil {
		s.referenceInfo = reference.text
	}
	s.Policy, s.HostCertificate = policy.decoded, certificate.decoded
	return s, errors.Join(s.DirectoryErr, s.PolicyErr, s.HostCertificateErr, s.EndorsementErr)
}

// directory returns a path relative to the root, as io/fs requires.
func (c Config) directory(root fs.FS) (string, error) {
	if c.Directory != "" {
		return namedDirectory(c.Directory, root)
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

func namedDirectory(name string, root fs.FS) (string, error) {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	directory := path.Join(".", filepath.ToSlash(absolute[1:]))
	info, err := fs.Stat(root, directory)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a directory")
	}
	if err != nil {
		return "", fmt.Errorf("using %s: %w", absolute, cause(err))
	}
	return directory, nil
}

// cause removes the path of an error, which is relative to the root.
func cause(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err
	}
	return err
}

// part is one file of the context, or the variable that replaces it.
type part struct {
	origin  string // for errors
	text    string
	decoded []byte
}

func readPart(root fs.FS, name, variable, fallback string) (part, error) {
	text, err := readFile(root, name)
	switch {
	case err == nil:
		return decodePart("/"+name, text)
	case errors.Is(err, fs.ErrNotExist):
		return decodePart(variable, fallback)
	}
	return part{}, fmt.Errorf("reading /%s: %w", name, cause(err))
}

func decodePart(origin, text string) (part, error) {
	p := part{origin: origin, text: strings.TrimSpace(text)}
	if p.text == "" {
		return part{}, nil
	}
	var err error
	if p.decoded, err = base64.StdEncoding.Strict().DecodeString(strings.Join(strings.Fields(p.text), "")); err != nil {
		return part{}, fmt.Errorf("reading %s: %w", origin, err)
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
