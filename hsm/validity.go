package hsm

import (
	"time"

	"skr/internal/jose/jwk"
)

// Validity bounds the use of a key; zero times mean no bound. It does not bound its release:
// outside of it a vault refuses to encrypt, wrap and sign, and still decrypts, unwraps,
// verifies and releases ("About keys", section "Date-time controlled operations",
// learn.microsoft.com/azure/key-vault/keys/about-keys).
type Validity struct{ NotBefore, Expires time.Time }

// Lapse returns in a few words why the key is not valid at a time, such as "expired at
// 2026-01-31T00:00:00Z", or "" if it is.
func (v Validity) Lapse(at time.Time) string {
	switch {
	case at.Before(v.NotBefore):
		return "is not valid before " + v.NotBefore.UTC().Format(time.RFC3339)
	case !v.Expires.IsZero() && !at.Before(v.Expires):
		return "expired at " + v.Expires.UTC().Format(time.RFC3339)
	}
	return ""
}

// validity returns the bounds in a release statement. They are descriptive: attributes that
// cannot be parsed are no reason to refuse the key.
func (p *payload) validity() (v Validity) {
	var attributes struct {
		NotBefore *int64 `json:"nbf"`
		Expires   *int64 `json:"exp"`
	}
	if jwk.Unmarshal(p.Response.Key.Attributes, &attributes) != nil {
		return v
	}
	if attributes.NotBefore != nil {
		v.NotBefore = time.Unix(*attributes.NotBefore, 0)
	}
	if attributes.Expires != nil {
		v.Expires = time.Unix(*attributes.Expires, 0)
	}
	return v
}
