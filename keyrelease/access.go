package keyrelease

import (
	"context"
	"encoding/json"
	"time"

	"skr/internal/crash"
	"skr/internal/jose/jws"
	"skr/internal/secmem"
	"skr/internal/strictjson"
)

const (
	// maxAccess is the longest access token that is parsed, in characters.
	maxAccess = 64 << 10
	// lastExpiry is in the year 9999. Go prints later times in another form.
	lastExpiry = 253402300799
)

// fetchAccess begins to fetch the access token for the vault and returns a function
// that waits for it.
func (r *Releaser) fetchAccess(ctx context.Context, req Request) (wait func() (secmem.Text, error)) {
	var token secmem.Text
	fetched := crash.Beside(func() (err error) {
		token, err = r.identity.AccessToken(ctx, req)
		return err
	})
	return func() (secmem.Text, error) {
		err := fetched()
		return token, err
	}
}

// expiryOf returns when an access token expires (RFC 7519 section 4.1.4), by its own exp
// claim. The claim is not verified here: something is kept under a token only after the
// vault has accepted the token. known is false if the token has no such claim.
func expiryOf(access secmem.Text) (expires time.Time, known bool) {
	signed, err := jws.Parse(access.Reveal(), maxAccess)
	if err != nil {
		return time.Time{}, false
	}
	claims, err := strictjson.Parse(signed.Payload)
	if err != nil {
		return time.Time{}, false
	}
	value, _ := claims.Lookup("exp")
	number, isNumber := value.(json.Number)
	seconds, err := number.Float64()
	if !isNumber || err != nil || seconds < 0 || seconds > lastExpiry {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}
