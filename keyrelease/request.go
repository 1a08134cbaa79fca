package keyrelease

import (
	"skr/attest"
	"skr/hsm"
	"skr/internal/secmem"
)

// Request names a key and the authority that attests this machine for it.
type Request struct {
	// Authority is the MAA instance that the key's release policy names.
	Authority attest.Authority
	// Key is the key to release.
	Key hsm.KeyID
	// Access is the caller's access token for the vault. Zero means that the
	// sidecar's own identity asks.
	Access secmem.Text

	fallbacks *Fallbacks   // nil if this is the only way
	fallback  int          // see Fallback
	versions  hsm.Versions // that the alias gives
	newest    string       // the version that the newest must be; "" accepts any
}

// Fallback is the position of the way that answered in the list of [Request.Ways], for
// the request that [Anywhere] returns. It is 0 for the first way, the only way, and
// if no way answered.
func (r Request) Fallback() int { return r.fallback }

// question identifies what a request asks for: requests with equal questions share their
// work. It has the digest of the access token, so that the table of running work holds
// no token.
type question struct {
	authority attest.Authority
	key       hsm.KeyID
	access    [32]byte
}

func (r Request) question() question { return question{r.Authority, r.Key, r.Access.Digest()} }
