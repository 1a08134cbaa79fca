// Package parties decorates the parties of package keyrelease with what the sidecar
// adds to them: the stages of the journal, and connections that are opened ahead.
//
//	keyrelease.New(keyrelease.Config{
//		Verifier: parties.Verifier(authority), Vault: parties.Vault(vault), …
//	})
//
// A decorator has the interface of its party, so package keyrelease knows neither the
// journal nor connections.
package parties

import (
	"context"

	"skr/attest"
	"skr/hsm"
	"skr/internal/observe/journal"
	"skr/internal/secmem"
	"skr/keyrelease"
)

// Verifier notes each appraisal as a stage.
func Verifier(next keyrelease.Verifier) keyrelease.Verifier { return verifier{next} }

type verifier struct{ next keyrelease.Verifier }

func (v verifier) Appraise(ctx context.Context, authority attest.Authority, evidence *attest.Evidence) (*attest.Result, error) {
	done := journal.Begin(ctx, journal.Appraise)
	result, err := v.next.Appraise(ctx, authority, evidence)
	done(err)
	return result, err
}

// Vault notes each question to a vault as a stage.
func Vault(next keyrelease.Vault) keyrelease.Vault { return vault{next} }

type vault struct{ next keyrelease.Vault }

func (v vault) Release(ctx context.Context, key hsm.KeyID, grant hsm.Grant) (*hsm.WrappedKey, error) {
	done := journal.Begin(ctx, journal.Release)
	wrapped, err := v.next.Release(ctx, key, grant)
	done(err)
	return wrapped, err
}

// Unwrap opens a wrapped key with the KEK, and notes that as a stage.
func Unwrap(ctx context.Context, wrapped *hsm.WrappedKey, kek keyrelease.KEK) (*hsm.Key, error) {
	done := journal.Begin(ctx, journal.Unwrap)
	key, err := wrapped.Unwrap(kek.Decrypter(ctx))
	done(err)
	return key, err
}

// Looked notes a lookup in a cache of the Releaser.
func Looked(ctx context.Context, l keyrelease.Lookup) {
	journal.Found(ctx, journal.Lookup{Cache: journal.Cache(l.Cache), Hit: l.Hit, Stale: l.Stale, Age: l.Age})
}

// TokenSource gives access tokens of the sidecar's own identity.
type TokenSource interface {
	// AccessToken returns a token for the audience, from a cache if it can.
	AccessToken(ctx context.Context, audience string) (secmem.Text, error)
}

// Identity returns the [keyrelease.Identity] that uses the caller's access token if it
// sent one, and otherwise a token of own, which it notes as a stage.
//
// The access token is the first thing that is fetched for a vault, while the authority
// still appraises the evidence. When it is there, connect is called with the vault's
// host: it may begin to connect, and does not wait. Nil connects to nothing ahead.
func Identity(own TokenSource, connect func(ctx context.Context, host string)) keyrelease.Identity {
	if connect == nil {
		connect = func(context.Context, string) {}
	}
	return identity{own, connect}
}

type identity struct {
	own     TokenSource
	connect func(ctx context.Context, host string)
}

func (i identity) AccessToken(ctx context.Context, req keyrelease.Request) (secmem.Text, error) {
	token, err := i.token(ctx, req)
	if err == nil {
		i.connect(ctx, req.Key.Host().String())
	}
	return token, err
}

func (i identity) token(ctx context.Context, req keyrelease.Request) (secmem.Text, error) {
	if !req.Access.IsZero() {
		return req.Access, nil
	}
	done := journal.Begin(ctx, journal.Identity)
	token, err := i.own.AccessToken(ctx, req.Key.Audience())
	done(err)
	return token, err
}
