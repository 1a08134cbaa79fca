// Package keyrelease is the use case: a [Request] becomes a [hsm.Key].
//
// It proves to an authority what this machine is, shows the authority's token
// to a vault, and opens the key that comes back wrapped to a pair that only
// this process holds. RFC 9334 calls the parties Attester, Verifier and Relying
// Party; here each is an interface of one method, and [Releaser.Release] is
// their conversation:
//
//	key, err := releaser.Release(ctx, keyrelease.Request{Authority: maa, Key: id})
//	defer key.Wipe()
//
// Every answer has been verified by the party that fetched it; this package
// knows no protocol. What is independent runs side by side, what is still good
// is reused, and equal concurrent work is done once.
package keyrelease

import (
	"context"

	"golang.org/x/sync/errgroup"

	"skr/attest"
	"skr/hsm"
	"skr/internal/crash"
	"skr/internal/secmem"
)

// Request names a key and who must vouch for us to get it.
type Request struct {
	// Authority is the MAA instance that the key's release policy names.
	Authority attest.Authority
	// Key is the key to release.
	Key hsm.KeyID
	// Access is the caller's access token for the vault. Zero means that the
	// Releaser's own identity asks.
	Access secmem.Text
}

// Release runs the pipeline. The caller wipes the key. Errors are refusals: see
// internal/refusal, each says who refused.
func (r *Releaser) Release(ctx context.Context, req Request) (*hsm.Key, error) {
	return r.releases.Do(ctx, req, func(ctx context.Context) (*hsm.Key, error) {
		kek, grant, err := r.prepare(ctx, req)
		if err != nil {
			return nil, err
		}
		wrapped, err := r.vault.Release(ctx, req.Key, grant)
		if err != nil {
			return nil, err
		}
		return wrapped.Unwrap(kek.Decrypter())
	})
}

// prepare gets the attested KEK and the access token, side by side.
func (r *Releaser) prepare(ctx context.Context, req Request) (*hsm.KEK, hsm.Grant, error) {
	var attested *attestedKEK
	access := req.Access
	group, ctx := errgroup.WithContext(ctx)
	side := func(work func() error) { group.Go(func() error { return crash.Guard(work) }) }
	side(func() (err error) {
		attested, err = r.attestedKEK(ctx, req.Authority)
		return err
	})
	side(func() (err error) {
		if access.IsZero() {
			access, err = r.identity.AccessToken(ctx, req.Key.Audience())
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, hsm.Grant{}, err
	}
	return attested.kek, hsm.Grant{Attestation: attested.result.Token, Access: access}, nil
}

// Token collects evidence over runtimeData and has authority appraise it.
func (r *Releaser) Token(ctx context.Context, authority attest.Authority, runtimeData []byte) (*attest.Result, error) {
	evidence, err := r.attester.Evidence(ctx, runtimeData)
	if err != nil {
		return nil, err
	}
	return r.verifier.Appraise(ctx, authority, evidence)
}
