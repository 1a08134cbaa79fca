package csi

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"skr/hsm"
	"skr/internal/refusal"
	"skr/internal/strictyaml"
)

const (
	maxObjects  = 32
	defaultMode = 0o440
	// readers are the bits that a mode may have: a key is neither written nor executed.
	readers = 0o444
)

// fileName matches the names of files. The driver refuses paths that leave the volume.
var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Place is a key with its vaults and authorities, as an alias of the configuration has them.
type Place struct {
	Vault       string
	Vaults      []string
	Key         string
	Authority   string
	Authorities []string
}

// object is a file of the volume, as the parameter objects lists it.
type object struct {
	Path        string   `json:"path"`
	Vault       string   `json:"vault,omitempty"`
	Vaults      []string `json:"vaults,omitempty"`
	Key         string   `json:"key"`
	Authority   string   `json:"authority,omitempty"`
	Authorities []string `json:"authorities,omitempty"`
	Format      string   `json:"format,omitempty"`
	Mode        string   `json:"mode,omitempty"`

	mode int32
}

func (o *object) place() Place {
	return Place{Vault: o.Vault, Vaults: o.Vaults, Key: o.Key, Authority: o.Authority, Authorities: o.Authorities}
}

// parseObjects parses the list, YAML in a string.
func parseObjects(text string) ([]object, error) {
	var list []object
	if err := strictyaml.Decode([]byte(text), &list); err != nil {
		return nil, badObjects(err)
	}
	if len(list) == 0 || len(list) > maxObjects {
		return nil, badObjects(fmt.Errorf("it has %d entries, and must have 1 to %d", len(list), maxObjects))
	}
	paths := map[string]bool{}
	for i := range list {
		o := &list[i]
		if err := o.check(); err != nil {
			return nil, badObjects(fmt.Errorf("entry %d: %w", i+1, err))
		}
		if paths[o.Path] {
			return nil, badObjects(fmt.Errorf("entry %d: path %q is used twice", i+1, o.Path))
		}
		paths[o.Path] = true
	}
	return list, nil
}

func badObjects(err error) error {
	return refusal.Because(refusal.BadRequest, fmt.Sprintf("parameter %s of the SecretProviderClass: %.300s", objects, err), err)
}

func (o *object) check() error {
	if !fileName.MatchString(o.Path) {
		return fmt.Errorf("path: %.140q is not a file name of letters, digits, dots, hyphens and underscores", o.Path)
	}
	switch o.Format {
	case "":
		o.Format = "jwk"
	case "jwk", "pem", "raw":
	default:
		return fmt.Errorf("format: %.20q is none of jwk, pem, raw", o.Format)
	}
	o.mode = defaultMode
	if o.Mode == "" {
		return nil
	}
	mode, err := strconv.ParseUint(o.Mode, 8, 16)
	if err != nil || mode&^readers != 0 || mode&0o400 == 0 {
		return errors.New(`mode: use an octal string of read permissions, such as "0440"`)
	}
	o.mode = int32(mode)
	return nil
}

// encode returns the content of the file. The caller wipes it.
func (o *object) encode(key *hsm.Key) (content []byte, err error) {
	switch o.Format {
	case "pem":
		content, err = key.PEM()
	case "raw":
		content, err = key.Raw()
	default:
		content, err = key.JWK()
	}
	if err != nil {
		return nil, refusal.Because(refusal.BadRequest, fmt.Sprintf("the key for %s has no format %s; use jwk", o.Path, o.Format), err)
	}
	return content, nil
}
