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
	"sync"

	"skr/attest"
	"skr/hsm"
	"skr/internal/crash"
	"skr/internal/observe/journal"
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

	fallbacks *Fallbacks // nil where this is the only way
}

// question is what a request asks: equal ones are the same work. A token is compared by
// its digest, so that the table of running work holds no token.
type question struct {
	authority attest.Authority
	key       hsm.KeyID
	access    [32]byte
}

func (r Request) question() question { return question{r.Authority, r.Key, r.Access.Digest()} }

// Release runs the pipeline. The caller wipes the key. Errors are refusals: see
// internal/refusal, each says who refused.
func (r *Releaser) Release(ctx context.Context, req Request) (*hsm.Key, error) {
	if key := r.keys.take(ctx, req.question()); key != nil {
		return key, nil
	}
	key, err := r.release(ctx, req)
	if err != nil {
		return r.keys.outlast(ctx, req.question(), err)
	}
	r.keys.use(ctx, req.question())
	return key, nil
}

// release asks those who decide, once for all that ask for the same now.
func (r *Releaser) release(ctx context.Context, req Request) (*hsm.Key, error) {
	return r.releases.Do(ctx, req.question(), func(ctx context.Context) (*hsm.Key, error) {
		defer r.replenish()
		attested, grant, err := r.prepare(ctx, req)
		if err != nil {
			return nil, err
		}
		key, err := r.ask(ctx, req.Key, attested.kek, grant)
		if suspicious(err) {
			r.doubt(req.Authority, attested, err)
			err = r.explainer.explain(ctx, req, attested.result, grant.Access, err)
		}
		if err == nil {
			r.keys.keep(ctx, req, key)
		}
		return key, err
	})
}

// ask shows the vault what it wants to see, and opens the key with the KEK.
func (r *Releaser) ask(ctx context.Context, key hsm.KeyID, kek KEK, grant hsm.Grant) (*hsm.Key, error) {
	wrapped, err := journal.Do(ctx, journal.Release, func() (*hsm.WrappedKey, error) { return r.vault.Release(ctx, key, grant) })
	if err != nil {
		return nil, err
	}
	return journal.Do(ctx, journal.Unwrap, func() (*hsm.Key, error) { return wrapped.Unwrap(kek.Decrypter(ctx)) })
}

// prepare gets the attested KEK and the access token, side by side. If both are
// refused, the refusal of the evidence is told: it comes first in the pipeline.
func (r *Releaser) prepare(ctx context.Context, req Request) (*attestedKEK, hsm.Grant, error) {
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	access := make(chan accessToken, 1)
	beside.Go(func() { access <- r.accessToken(ctx, req) })
	attested, err := r.attestedKEK(ctx, req)
	if err != nil {
		return nil, hsm.Grant{}, err
	}
	token := <-access
	return attested, hsm.Grant{Attestation: attested.result.Token, Access: token.text, Seen: attested.seen}, token.err
}

type accessToken struct {
	text secmem.Text
	err  error
}

// accessToken is the caller's, or that of our own identity.
func (r *Releaser) accessToken(ctx context.Context, req Request) (token accessToken) {
	if !req.Access.IsZero() {
		return accessToken{text: req.Access}
	}
	done := journal.Begin(ctx, journal.Identity)
	token.err = crash.Guard(func() (err error) {
		token.text, err = r.identity.AccessToken(ctx, req.Key.Audience())
		return err
	})
	done(token.err)
	return token
}

// Token collects evidence over runtimeData and has authority appraise it.
func (r *Releaser) Token(ctx context.Context, authority attest.Authority, runtimeData []byte) (*attest.Result, error) {
	evidence, err := r.attester.Evidence(ctx, runtimeData)
	if err != nil {
		return nil, err
	}
	return r.appraise(ctx, authority, evidence)
}

func (r *Releaser) appraise(ctx context.Context, authority attest.Authority, evidence *attest.Evidence) (*attest.Result, error) {
	result, err := journal.Do(ctx, journal.Appraise, func() (*attest.Result, error) { return r.verifier.Appraise(ctx, authority, evidence) })
	if err != nil {
		return nil, toldOmissions(err, evidence.Omitted)
	}
	result.Omitted = evidence.Omitted
	return result, nil
}
