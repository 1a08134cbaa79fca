package coco

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"syscall"

	"skr/hsm"
	"skr/internal/envelope"
	"skr/internal/keyformat"
	"skr/internal/keyuse"
	"skr/internal/secmem"
)

// ResourceConfig describes a Resource: a key in a format, or a file that the key opens. One of
// As, Envelope and Sealed is set.
type ResourceConfig struct {
	// Alias names the key.
	Alias string
	// As is the format in which the key itself is given.
	As string
	// Envelope is the path of a JWE that was sealed to the key.
	Envelope string
	// Sealed is the path of a sealed secret of the type envelope, and Signer that of the public
	// key, as PEM or JWK, whose signature it must have.
	Sealed, Signer string
}

// Resource is what a path of the API stands for.
type Resource struct {
	alias  string
	format keyformat.Format // "" if a file is opened
	path   string           // of the file
	signer crypto.PublicKey // of a sealed secret; nil for an envelope
}

// resourcePath is repository, type and tag, in the characters that need no escapes in a URL.
var resourcePath = regexp.MustCompile(`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$`)

// ParseResources checks the resources of a configuration. It reads the signers' keys, and no
// other file.
func ParseResources(all map[string]ResourceConfig) (map[string]Resource, error) {
	parsed := make(map[string]Resource, len(all))
	for path, c := range all {
		if !resourcePath.MatchString(path) {
			return nil, fmt.Errorf("%.100q is not of the form repository/type/tag, in letters, digits, dots, hyphens and underscores", path)
		}
		resource, err := parseResource(c)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
		parsed[path] = resource
	}
	return parsed, nil
}

func parseResource(c ResourceConfig) (r Resource, err error) {
	set := 0
	for _, text := range []string{c.As, c.Envelope, c.Sealed} {
		if text != "" {
			set++
		}
	}
	switch {
	case c.Alias == "":
		return r, errors.New("alias is missing")
	case set != 1:
		return r, errors.New("set one of as, envelope and sealed")
	case (c.Sealed == "") != (c.Signer == ""):
		return r, errors.New("sealed and signer go together: the signature of a sealed secret is always verified")
	}
	r.alias, r.path = c.Alias, c.Envelope+c.Sealed
	if c.As != "" {
		r.format, err = keyformat.Parse(c.As)
		return r, err
	}
	if c.Sealed != "" {
		r.signer, err = readSigner(c.Signer)
	}
	return r, err
}

// Alias returns the alias of the key.
func (r Resource) Alias() string { return r.alias }

// Right returns what the key is used for: the caller receives the key itself, or what it opens.
func (r Resource) Right() keyuse.Operation {
	switch {
	case r.format != "":
		return keyuse.Release
	case r.signer != nil:
		return keyuse.UnwrapKey
	}
	return keyuse.Decrypt
}

// Content is a resource before the key is there.
type Content struct {
	resource Resource
	envelope *envelope.Envelope
	sealed   *sealedSecret
}

// ErrFile means that the file of a resource cannot be used. Its text may name the file and does
// not quote it.
var ErrFile = errors.New("the file of the resource cannot be used")

// Load reads the file of the resource, if it has one, and verifies the signature of a sealed
// secret. Its error wraps ErrFile.
func (r Resource) Load() (c Content, err error) {
	c.resource = r
	if r.format != "" {
		return c, nil
	}
	text, err := readFile(r.path, envelope.MaxText)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if r.signer == nil {
		c.envelope, err = envelope.Parse(text)
	} else {
		c.sealed, err = parseSealed(text, r.signer)
	}
	if err != nil {
		return c, fmt.Errorf("%w: %s: %w", ErrFile, r.path, err)
	}
	return c, nil
}

// KeyID returns the identifier of the key that the file was sealed to, or "".
func (c Content) KeyID() string {
	switch {
	case c.envelope != nil:
		return c.envelope.KeyID()
	case c.sealed != nil:
		return c.sealed.KeyID
	}
	return ""
}

// Give returns the resource in protected memory. The caller wipes it.
func (c Content) Give(key *hsm.Key) (*secmem.Buffer, error) {
	switch {
	case c.envelope != nil:
		return c.envelope.Open(key)
	case c.sealed != nil:
		return c.sealed.open(key)
	}
	text, err := c.resource.format.Encode(key)
	if err != nil {
		return nil, fmt.Errorf("writing the key as %s: %w", c.resource.format, err)
	}
	return secmem.Hold(text), nil
}

// readFile reads a file of at most limit bytes. It does not wait for a pipe.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s is not a regular file", path), err)
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return text, err
}
