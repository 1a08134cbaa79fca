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
	// against the hardware vendor's roots. With nil runtimeData it binds nothing but
	// the key of the TPM, if the machine has one.
	Evidence(ctx context.Context, runtimeData []byte) (*attest.Evidence, error)
	// Platform reports whether evidence includes a TPM key. The result is cached.
	Platform(ctx context.Context) (attest.Platform, error)
}

// Verifier appraises evidence.
type Verifier interface {
	// Appraise returns a result whose token has been verified to be
	// authority's and to carry the evidence's runtime data.
	Appraise(ctx context.Context, authority attest.Authority, evidence *attest.Evidence) (*attest.Result, error)
}

// Identity gives the access token that the vault requires beside the attestation.
type Identity interface {
	// AccessToken returns an access token for the vault of req.Key: req.Access if the
	// caller sent one, and otherwise a token of the sidecar's own identity.
	AccessToken(ctx context.Context, req Request) (secmem.Text, error)
}

// Vault is the Relying Party.
type Vault interface {
	// Release returns a wrapped key from a statement that has been verified.
	Release(ctx context.Context, key hsm.KeyID, grant hsm.Grant) (*hsm.WrappedKey, error)
}

// Config has the parties and limits of a Releaser. All parties but the Describer are
// required.
type Config struct {
	Attester Attester
	Verifier Verifier
	Identity Identity
	Vault    Vault
	// Describer helps to explain why a release was refused. Nil disables explanations.
	Describer Describer
	// Unwrap calls [hsm.WrappedKey.Unwrap] with the KEK. Nil means just that.
	Unwrap func(ctx context.Context, wrapped *hsm.WrappedKey, kek KEK) (*hsm.Key, error)
	// Looked is called with the result of each cache lookup. Nil disables it.
	Looked func(context.Context, Lookup)
	// KEKBits is the size of the KEK: 2048, 3072 or 4096. Zero means 2048.
	KEKBits int
	// AttestationMaxAge is how long an attested KEK is used for releases with the same
	// authority. Zero attests for each release.
	AttestationMaxAge time.Duration
	// KeyTTL is how long a released key serves equal requests. Zero keeps no keys.
	KeyTTL time.Duration
	// KeyMaxStale is how much longer a key serves requests while the authority or the
	// vault cannot be reached. Zero serves no key after KeyTTL.
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
	identity Identity
	vault    Vault
	unwrap   func(context.Context, *hsm.WrappedKey, KEK) (*hsm.Key, error)
	looked   func(context.Context, Lookup)
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

// New returns a Releaser.
func New(c Config) *Releaser {
	c = c.withDefaults()
	r := &Releaser{
		attester: c.Attester, verifier: c.Verifier, identity: c.Identity, vault: c.Vault,
		unwrap: c.Unwrap, looked: c.Looked, maxAge: c.AttestationMaxAge, now: c.Now,
		spare:        spareKEK{bits: c.KEKBits},
		explainer:    newExplainer(c.Describer, c.Now),
		keys:         newKeyCache(c.KeyTTL, c.KeyMaxStale, c.Looked),
		releases:     singleflight.Group[question, *hsm.Key]{Limit: c.Timeout, Share: (*hsm.Key).Clone, Discard: (*hsm.Key).Wipe},
		attestations: singleflight.Group[attest.Authority, *attestedKEK]{Limit: c.Timeout},
		attested:     cache.New[attest.Authority, *attestedKEK](maxAuthorities),
	}
	r.keys.release = r.share
	return r
}

func (c Config) withDefaults() Config {
	if c.Unwrap == nil {
		c.Unwrap = unwrap
	}
	if c.Looked == nil {
		c.Looked = func(context.Context, Lookup) {}
	}
	if c.KEKBits == 0 {
		c.KEKBits = 2048
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
