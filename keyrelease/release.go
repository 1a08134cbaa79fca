// Package keyrelease is the use case: a [Request] becomes a [hsm.Key].
//
// Secure key release has four steps:
//
//  1. Attest: collect evidence of what this machine is, bound to a key pair that
//     never leaves it (the KEK), and have an authority turn it into a token.
//  2. Ask: show that token, and an access token, to the vault that has the key. The
//     vault compares the attestation with the key's release policy and wraps the key
//     to the KEK.
//  3. Open: unwrap the key with the KEK.
//  4. Explain: if the vault refuses, find out which condition of the policy this
//     machine does not meet.
//
// RFC 9334 calls the parties Attester, Verifier and Relying Party. Here each is an
// interface of one method, and each verifies its own answer: this package knows no
// protocol.
//
//	key, err := releaser.Release(ctx, keyrelease.Request{Authority: maa, Key: id})
//	defer key.Wipe()
//
// Independent steps run side by side, results are reused while they are valid, and
// equal concurrent requests share one piece of work.
package keyrelease

import (
	"context"

	"skr/hsm"
)

// Release returns the requested key, which the caller wipes. Its errors are refusals:
// see internal/refusal.
func (r *Releaser) Release(ctx context.Context, req Request) (*hsm.Key, error) {
	if key := r.keys.lookUp(ctx, req.question()); key != nil {
		return key, nil
	}
	key, err := r.share(ctx, req)
	if err != nil {
		return r.keys.serveStale(ctx, req.question(), err)
	}
	r.keys.hold(ctx, req.question())
	return key, nil
}

// share releases the key once for all equal requests that run at the same time.
func (r *Releaser) share(ctx context.Context, req Request) (*hsm.Key, error) {
	return r.releases.Do(ctx, req.question(), func(ctx context.Context) (*hsm.Key, error) { return r.release(ctx, req) })
}

// release attests this machine, asks the vault, opens the key, and explains a refusal.
func (r *Releaser) release(ctx context.Context, req Request) (*hsm.Key, error) {
	defer r.replenish()
	attested, grant, err := r.attest(ctx, req)
	if err != nil {
		return nil, err
	}
	wrapped, err := r.vault.Release(ctx, req.Key, grant)
	if err != nil {
		return nil, r.explain(ctx, req, attested, grant, err)
	}
	key, err := r.unwrap(ctx, wrapped, attested.kek)
	if err != nil {
		return nil, r.explain(ctx, req, attested, grant, err)
	}
	r.keys.keep(ctx, req, key)
	return key, nil
}

// attest returns an attested KEK and what the vault wants to see for it. The access
// token is fetched at the same time as the attestation. If both fail, the error is that
// of the attestation, which is the earlier step.
func (r *Releaser) attest(ctx context.Context, req Request) (*attestedKEK, hsm.Grant, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	access := r.fetchAccess(ctx, req)
	attested, err := r.attestedKEK(ctx, req.Authority)
	if err != nil {
		cancel() // nothing needs the access token any more
		_, _ = access()
		return nil, hsm.Grant{}, err
	}
	token, err := access()
	return attested, hsm.Grant{Attestation: attested.result.Token, Access: token, Seen: attested.seen}, err
}

// explain returns the refusal of the vault with the conditions of the release policy
// that are not met. It also drops the attested KEK if that may be the reason.
func (r *Releaser) explain(ctx context.Context, req Request, attested *attestedKEK, grant hsm.Grant, err error) error {
	r.invalidate(req.Authority, attested, err)
	return r.explainer.explain(ctx, req, attested.result, grant.Access, err)
}

// unwrap opens a wrapped key with the KEK.
func unwrap(ctx context.Context, wrapped *hsm.WrappedKey, kek KEK) (*hsm.Key, error) {
	return wrapped.Unwrap(kek.Decrypter(ctx))
}
