package server

import (
	"context"
	"errors"

	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/keyuse"
	"skr/internal/refusal"
	"skr/keyrelease"
)

// VaultKeys uses keys that stay in their vault. Its errors are refusals.
type VaultKeys interface {
	// Key returns the key of a request, whose authority is zero.
	Key(ctx context.Context, request keyrelease.Request) (VaultKey, error)
}

// VaultKey is one version of a key that stays in its vault.
type VaultKey interface {
	// ID returns the identifier of the key with its version.
	ID() string
	// Public returns the public part with the identifier and the key_ops. It returns an error
	// for a symmetric key.
	Public() (jwk.Key, error)
	// Do lets the vault perform an operation. Its errors are refusals, and those of package
	// keyuse.
	Do(ctx context.Context, op keyuse.Operation, in keyuse.Input) (keyuse.Output, error)
}

type noVaultKeys struct{}

func (noVaultKeys) Key(context.Context, keyrelease.Request) (VaultKey, error) {
	return nil, errors.New("there is no client for keys in a vault")
}

// obtained is a key that the server may use: a released one, or one in its vault.
type obtained struct {
	request  keyrelease.Request // zero if it could not be parsed
	released *hsm.Key
	vault    VaultKey
}

func (o obtained) wipe() { o.released.Wipe() }

// id returns "" if there is no key.
func (o obtained) id() string {
	switch {
	case o.vault != nil:
		return o.vault.ID()
	case o.released != nil:
		return o.released.ID()
	}
	return ""
}

func (o obtained) policyHash() string {
	if o.released == nil {
		return ""
	}
	return o.released.PolicyHash()
}

// usable performs operations with one version of a key.
type usable struct {
	vault VaultKey // nil if opened has the key
	*keyuse.Key
}

// open returns the key for the operation. It refuses a released key outside its validity: a
// vault refuses its own keys itself.
func (s *Server) open(ctx context.Context, key obtained, op keyuse.Operation) (usable, error) {
	if key.vault != nil {
		return usable{vault: key.vault}, nil
	}
	if lapse := key.released.Validity().Lapse(s.config.Now()); lapse != "" && op.NeedsValidity() {
		return usable{}, refusal.Newf(refusal.CallerNotAllowed, "the key %s; rotate it with `skrctl key rotate`", lapse)
	}
	opened, err := s.openers.of(ctx, key.released)
	if err != nil {
		return usable{}, refusal.Because(refusal.BadRequest, "the key has no operations: its type is none of RSA, EC and oct", err)
	}
	return usable{Key: opened}, nil
}

func (u usable) do(ctx context.Context, op keyuse.Operation, in keyuse.Input, limits keyuse.Limits) (keyuse.Output, error) {
	if u.vault != nil {
		return u.vault.Do(ctx, op, in)
	}
	return u.Do(op, in, limits)
}

func (u usable) public() (jwk.Key, error) {
	if u.vault != nil {
		return u.vault.Public()
	}
	return u.Public()
}
