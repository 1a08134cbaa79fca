package conformance

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// forgedToken returns a token in the form of an access token, with a signature that no key verifies.
func forgedToken(audience string) string {
	const noID = "00000000-0000-0000-0000-000000000000"
	now := time.Now().Unix()
	claims, _ := json.Marshal(map[string]any{ // texts and numbers only
		"aud": audience, "iss": "https://sts.windows.net/" + noID + "/", "iat": now, "nbf": now, "exp": now + 3600,
		"appid": noID, "oid": noID, "tid": noID, "ver": "1.0",
	})
	header := `{"typ":"JWT","alg":"RS256","kid":"skr-conformance"}`
	return strings.Join([]string{
		base64.RawURLEncoding.EncodeToString([]byte(header)), base64.RawURLEncoding.EncodeToString(claims),
		base64.RawURLEncoding.EncodeToString(make([]byte, 256)),
	}, ".")
}

// attribute returns the value of a name="value" pair in a challenge.
func attribute(challenge, name string) string {
	_, rest, _ := strings.Cut(challenge, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// decode64 returns nil for what is not base64url.
func decode64(text string) []byte {
	data, _ := base64.RawURLEncoding.DecodeString(text)
	return data
}
