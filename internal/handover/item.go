// Package handover gives released keys, and secrets from sealed envelopes, to a program that is
// about to start: in its environment, in memory that it opens like a file, or in files in memory.
//
//	item, err := handover.Parse(handover.Variable, "TLS_KEY=orders:pem")
//	h, err := handover.New(handover.Config{Items: items, Keys: keys, Owner: secretfile.SameOwner})
//	d, err := h.Prepare(ctx)        // releases; writes nothing
//	err = d.WriteFiles()            // replaces each file as a whole
//	env, err := d.Environment(env)  // with the secrets, and the paths of d.Memory()
//	d.Close()                       // after the start: overwrites the secrets
//
// The package starts nothing and asks no service: [Keys] does.
package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/envelope"
	"skr/internal/keyformat"
	"skr/internal/secmem"
)

// Kind is the way in which the program gets a secret.
type Kind int

// The kinds.
const (
	Variable Kind = iota // in a variable of its environment
	Memory               // in memory; a variable has the path
	File                 // in a file
)

// Item is a secret that the program gets.
type Item struct {
	Kind Kind
	// Name of the variable, or path of the file.
	Name string
	// Alias of the key; "" is the key that flags name.
	Alias string
	// Format of the key; "" with an envelope.
	Format keyformat.Format
	// Envelope is the path of a file that the key opens.
	Envelope string
}

// Keys releases keys. An empty version means the one that the alias gives.
type Keys interface {
	// Key returns a key for the caller to wipe.
	Key(ctx context.Context, alias, version string) (*hsm.Key, error)
	// Name returns the name of the alias's key in its vault.
	Name(alias string) string
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

const sealed = "envelope"

// Parse parses NAME=ALIAS:FORMAT or NAME=ALIAS:envelope:FILE, where NAME is the path of a file for
// that kind.
func Parse(kind Kind, text string) (Item, error) {
	name, source, found := strings.Cut(text, "=")
	alias, form, typed := strings.Cut(source, ":")
	if !found || !typed || name == "" {
		return Item{}, fmt.Errorf("%.80q is not NAME=ALIAS:FORMAT or NAME=ALIAS:envelope:FILE", text)
	}
	item := Item{Kind: kind, Name: name, Alias: alias}
	if kind != File && !variable.MatchString(name) {
		return Item{}, fmt.Errorf("%.80q is no name of a variable: use letters, digits and underscores", name)
	}
	word, path, _ := strings.Cut(form, ":")
	if word == sealed {
		item.Envelope = path
		if path == "" {
			return Item{}, fmt.Errorf("%.80q names no file; write %s=%s:envelope:FILE", text, name, alias)
		}
		return item, nil
	}
	var err error
	if item.Format, err = keyformat.Parse(form); err != nil {
		return Item{}, fmt.Errorf("%w, or envelope:FILE", err)
	}
	if kind == Variable && item.isBinary() {
		return Item{}, fmt.Errorf("the format %s is not text, and a variable cannot hold it; use --memfd or --file, or the format pem or jwk", item.Format)
	}
	return item, nil
}

func (i Item) isBinary() bool {
	return i.Format == keyformat.DER || i.Format == keyformat.PKCS8 || i.Format == keyformat.Raw
}

// secret returns what the program gets. The caller wipes it.
func (i Item) secret(ctx context.Context, keys Keys) ([]byte, error) {
	text, err := i.make(ctx, keys)
	if err != nil {
		return nil, err
	}
	if i.Kind == Variable {
		if err := fitsVariable(i.Name, text); err != nil {
			secmem.Wipe(text)
			return nil, err
		}
	}
	return text, nil
}

func (i Item) make(ctx context.Context, keys Keys) ([]byte, error) {
	if i.Envelope != "" {
		return i.open(ctx, keys)
	}
	key, err := keys.Key(ctx, i.Alias, "")
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	text, err := i.Format.Encode(key)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	return text, nil
}

// open opens the envelope with the version of the key that it was sealed to.
func (i Item) open(ctx context.Context, keys Keys) ([]byte, error) {
	sealed, err := i.readEnvelope()
	if err != nil {
		return nil, err
	}
	name, version := sealed.Key()
	if own := keys.Name(i.Alias); name != "" && !strings.EqualFold(name, own) { // names of keys have no capitals
		return nil, cli.BadUsage(fmt.Errorf("%s: %w: it was sealed to %.256q, and the alias has the key %q", i.Envelope, envelope.ErrKey, sealed.KeyID(), own))
	}
	key, err := keys.Key(ctx, i.Alias, version)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	held, err := sealed.Open(key)
	if err != nil {
		return nil, cli.BadUsage(fmt.Errorf("%s: %w", i.Envelope, err))
	}
	defer held.Wipe()
	var text []byte
	err = held.Use(func(secret []byte) error { text = bytes.Clone(secret); return nil })
	return text, err
}

func (i Item) readEnvelope() (*envelope.Envelope, error) {
	text, err := config.ReadBounded(i.Envelope, envelope.MaxText)
	if err != nil {
		return nil, err
	}
	sealed, err := envelope.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.Envelope, err)
	}
	return sealed, nil
}

// maxVariable bounds NAME=value and the zero at its end (MAX_ARG_STRLEN, execve(2)).
const maxVariable = 32 * 4096

func fitsVariable(name string, text []byte) error {
	switch {
	case bytes.IndexByte(text, 0) >= 0:
		return errors.New("the secret has a zero byte, and a variable cannot hold it; use --memfd or --file")
	case len(name)+len(text)+2 > maxVariable:
		return errors.New("the secret is too long for a variable; use --memfd or --file")
	}
	return nil
}
