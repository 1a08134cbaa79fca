package keyrelease

import (
	"context"
	"sync"
	"time"

	"skr/attest"
	"skr/hsm"
	"skr/internal/cache"
	"skr/internal/secmem"
	"skr/internal/singleflight"
)

// Attester proves what this machine is.
type Attester interface {
	// Evidence returns evidence that binds runtimeData and has been verified
	// against the hardware vendor's roots.
	// With nil it binds nothing but, where it has one, the key of its TPM.
	Evidence(ctx context.Context, runtimeData []byte) (*attest.Evidence, error)
	// Platform says whether evidence comes with such a key. Once it is known,
	// nobody is asked.
	Platform(ctx context.Context) (attest.Platform, error)
}

// Verifier appraises evidence.
type Verifier interface {
	// Appraise returns a result whose token has been verified to be
	// authority's and to carry the evidence's runtime data.
	Appraise(ctx context.Context, authority attest.Authority, evidence *attest.Evidence) (*attest.Result, error)
}

// Vault is the Relying Party.
type Vault interface {
	// Release returns a wrapped key from a statement that has been verified.
	Release(ctx context.Context, key hsm.KeyID, grant hsm.Grant) (*hsm.WrappedKey, error)
}

// Identity is who we are to the vault when the caller brings no access token.
type Identity interface {
	// AccessToken returns a token for audience, from a cache where it can.
	AccessToken(ctx context.Context, audience string) (secmem.Text, error)
}

// Config is what a Releaser is made of. Every party but the Describer is
// required.
type Config struct {
	Attester Attester
	Verifier Verifier
	Vault    Vault
	Identity Identity
	// Describer helps to say why a release was refused; nil means that nobody
	// is asked.
	Describer Describer
	// Approach is told of a release that is about to ask the authority and then the
	// vault of the request, and may connect to them meanwhile. The authority is asked
	// in the context that it returns. It does not wait. Nil does nothing.
	Approach func(context.Context, Request) context.Context
	// KEKBits is the size of the KEK: 2048, 3072 or 4096. Zero means 2048.
	KEKBits int
	// AttestationMaxAge is how long an attested KEK serves further releases of
	// the same authority. Zero attests for each release.
	AttestationMaxAge time.Duration
	// KeyTTL is how long a released key serves equal requests. Zero keeps none.
	KeyTTL time.Duration
	// KeyMaxStale is how much longer it serves them where the authority or the
	// vault cannot be reached. Zero is not at all.
	KeyMaxStale time.Duration
	// Timeout bounds work that several callers share. Zero means one minute.
	Timeout time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Releaser releases keys. It is safe for concurrent use.
type Releaser struct {
	attester Attester
	verifier Verifier
	vault    Vault
	identity Identity
	approach func(context.Context, Request) context.Context
	maxAge   time.Duration
	now      func() time.Time
	spare    spareKEK

	explainer *explainer
	keys      *keyCache

	releases     singleflight.Group[question, *hsm.Key]
	attestations singleflight.Group[attest.Authority, *attestedKEK]

	mu       sync.Mutex
	attested *cache.Cache[attest.Authority, *attestedKEK]
	guest    guest
}

// New makes a Releaser.
func New(c Config) *Releaser {
	if c.KEKBits == 0 {
		c.KEKBits = 2048
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Approach == nil {
		c.Approach = func(ctx context.Context, _ Request) context.Context { return ctx }
	}
	r := &Releaser{
		attester: c.Attester, verifier: c.Verifier, vault: c.Vault, identity: c.Identity,
		approach: c.Approach, maxAge: c.AttestationMaxAge, now: c.Now,
		spare:        spareKEK{bits: c.KEKBits},
		explainer:    newExplainer(c.Describer, c.Now),
		keys:         newKeyCache(c.KeyTTL, c.KeyMaxStale),
		releases:     singleflight.Group[question, *hsm.Key]{Limit: c.Timeout, Share: (*hsm.Key).Clone, Discard: (*hsm.Key).Wipe},
		attestations: singleflight.Group[attest.Authority, *attestedKEK]{Limit: c.Timeout},
		attested:     cache.New[attest.Authority, *attestedKEK](maxAuthorities),
	}
	r.keys.release = r.release
	return r
}
