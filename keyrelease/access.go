package keyrelease

import (
	"encoding/json"
	"time"

	"skr/internal/jose/jws"
	"skr/internal/secmem"
	"skr/internal/strictjson"
)

const (
	// maxAccess is the longest access token that is looked into, in characters.
	maxAccess = 64 << 10
	// lastExpiry is in the year 9999, after which Go's times print otherwise.
	lastExpiry = 253402300799
)

// expiryOf is when an access token expires (RFC 7519 section 4.1.4), by its own word: by
// the time that something is kept under a token, the vault has verified it. False means
// that the token does not say.
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
