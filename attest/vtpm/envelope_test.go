package vtpm_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"skr/attest/vtpm"
)

var envelopeKey = []byte("0123456789abcdef0123456789abcdef")

// seal makes an envelope as Azure Attestation does.
func seal(t testing.TB, aad string) string {
	t.Helper()
	gcm := must(cipher.NewGCM(must(aes.NewCipher(envelopeKey))(t)))(t)
	iv := []byte("0123456789ab")
	sealed := gcm.Seal(nil, iv, []byte("e30.e30.AA"), []byte(aad))
	text := base64.StdEncoding.EncodeToString
	return fmt.Sprintf(`{"EncryptedInnerKey":%q,"EncryptionParams":{`+
		`"BlockMode":"ChainingModeGCM","BlockPadding":"PKCS7","Cipher":"AES","KeySizeInBits":256,"Iv":%q},`+
		`"AuthenticationData":%q,"Jwt":%q}`,
		text(make([]byte, 256)), text(iv), text(sealed[len(sealed)-16:]), text(sealed[:len(sealed)-16]))
}

func TestEnvelope(t *testing.T) {
	good := seal(t, "Transport Key")
	e := must(vtpm.ParseEnvelope([]byte(good)))(t)
	if token := must(e.Open(envelopeKey))(t); string(token) != "e30.e30.AA" || len(e.InnerKey()) != 256 {
		t.Errorf("the token is %q", token)
	}
	_, err := e.Open(envelopeKey[:31])
	checkError(t, err, "the key has 31 bytes")
	_, err = e.Open(make([]byte, 32))
	checkError(t, err, "altered")
	_, err = must(vtpm.ParseEnvelope([]byte(seal(t, "Transport Key\x00"))))(t).Open(envelopeKey)
	checkError(t, err, "altered")
	for _, c := range []struct{ name, old, replaced, wrong string }{
		{"IV of another length", "MDEyMzQ1Njc4OWFi", "MDEyMzQ1Njc4OWFiYw==", "Iv is no base64 of 12 to 12"},
		{"no IV", "MDEyMzQ1Njc4OWFi", "", "Iv is no base64"},
		{"short tag", `"AuthenticationData":"`, `"AuthenticationData":"AAAA`, "AuthenticationData is no base64 of 16"},
		{"no token", `"Jwt":"`, `"Jwt":"","jwt":"`, "has a member twice"},
		{"another mode", "ChainingModeGCM", "ChainingModeCBC", "want AES in ChainingModeGCM"},
		{"another cipher", `"AES"`, `"DES"`, "want AES"},
		{"no JSON", "{", "", "data after the JSON value"},
		{"another type", `"Jwt":"`, `"Jwt":1,"x":"`, "not the JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := vtpm.ParseEnvelope([]byte(strings.Replace(good, c.old, c.replaced, 1)))
			checkError(t, err, c.wrong)
		})
	}
	_, err = vtpm.ParseEnvelope(make([]byte, 1<<20+1))
	checkError(t, err, "more than")
}
