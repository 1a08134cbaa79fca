package sinks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template/parse"

	"skr/hsm"
	"skr/internal/envelope"
	"skr/internal/keyformat"
	"skr/internal/refusal"
)

// use is what a rendering does with a version of a key.
type use struct {
	alias string
	right Right
	id    string
}

// inputs are the keys and files of one rendering.
type inputs struct {
	ctx         context.Context // of one rendering: templates call functions without a context
	source      Keys
	may         func(alias string, right Right) error
	keys        map[string]*hsm.Key // by alias, and by alias and version if an envelope names an older one
	envelopes   map[string]*envelope.Envelope
	template    *parse.ListNode
	fingerprint string // changes with the keys and the files
	uses        map[use]*hsm.Key
}

func newInputs(ctx context.Context, keys Keys, may func(string, Right) error) *inputs {
	return &inputs{ctx: ctx, source: keys, may: may, keys: map[string]*hsm.Key{}, uses: map[use]*hsm.Key{}}
}

// add adds the key of an alias.
func (in *inputs) add(alias string) error {
	key, err := in.source.Key(alias)
	switch {
	case err != nil:
		return err
	case key == nil:
		return errNotYet
	}
	in.keys[alias] = key
	in.fingerprint += key.ID() + ";"
	return nil
}

func (in *inputs) wipe() {
	for _, key := range in.keys {
		key.Wipe()
	}
}

// ids returns the identifiers of the keys that were used, in order.
func (in *inputs) ids() []string {
	var ids []string
	for u := range in.uses {
		if !slices.Contains(ids, u.id) {
			ids = append(ids, u.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// take returns the key of an alias, if the right is one of the alias.
func (in *inputs) take(alias string, right Right) (*hsm.Key, error) {
	key, err := in.get(alias)
	if err != nil {
		return nil, err
	}
	return key, in.may(alias, right)
}

// get returns the key of an alias that the sink lists.
func (in *inputs) get(alias string) (*hsm.Key, error) {
	if key := in.keys[alias]; key != nil {
		return key, nil
	}
	return nil, errors.New("it names an alias that is not in the list of this sink; add it to alias") // a template may pass a key for a name
}

// encode returns the key in a form, for the caller to wipe.
func (in *inputs) encode(alias string, format keyformat.Format) ([]byte, error) {
	key, err := in.take(alias, Give)
	if err != nil {
		return nil, err
	}
	text, err := format.Encode(key)
	if err != nil {
		return nil, fmt.Errorf("the key of alias %s has no form %s (%w); choose another format", alias, format, err)
	}
	in.uses[use{alias, Give, key.ID()}] = key
	return text, nil
}

// open returns the secret of an envelope, for the caller to wipe.
func (in *inputs) open(alias, path string) (secret []byte, err error) {
	key, err := in.take(alias, Open)
	if err != nil {
		return nil, err
	}
	sealed := in.envelopes[path]
	if sealed == nil {
		return nil, errors.New("it names a file that is not in the list of this sink; add it to envelope")
	}
	held, err := sealed.Open(key)
	if errors.Is(err, envelope.ErrKey) {
		if key, err = in.older(alias, sealed); err != nil {
			return nil, err
		}
		held, err = sealed.Open(key)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer held.Wipe()
	in.uses[use{alias, Open, key.ID()}] = key
	err = held.Use(func(text []byte) error { secret = slices.Clone(text); return nil })
	return secret, err
}

// older releases the version that an envelope names, if the alias gives it: what was sealed before
// a rotation still opens.
func (in *inputs) older(alias string, sealed *envelope.Envelope) (*hsm.Key, error) {
	version := sealed.KeyID()[strings.LastIndex(sealed.KeyID(), "/")+1:]
	if err := hsm.CheckVersion(version); err != nil {
		return nil, refusal.Because(refusal.BadRequest, "the envelope was sealed to another key than that of the alias; seal it again", envelope.ErrKey)
	}
	name := alias + "/" + version // no alias has a slash
	if in.keys[name] != nil {
		return in.keys[name], nil
	}
	key, err := in.source.At(in.ctx, alias, version)
	switch {
	case errors.Is(err, refusal.CallerNotAllowed):
		return nil, refusal.Because(refusal.CallerNotAllowed, "the envelope was sealed to a version that the alias does not give; "+
			"seal it again to the newest, or list the version in the alias", envelope.ErrKey)
	case err != nil:
		return nil, err
	}
	in.keys[name] = key
	return key, nil
}
