package leak

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// TestFind checks the search itself.
func TestFind(t *testing.T) {
	secret := strings.Repeat("a secret that is long enough; ", 4)
	short := "0123456789ab-token"
	for _, c := range []struct{ text, secret string }{
		{secret[20:80], secret},
		{hex.EncodeToString([]byte(secret)), secret},
		{base64.StdEncoding.EncodeToString([]byte(secret)), secret},
		{base64.URLEncoding.EncodeToString([]byte("xy" + secret)), secret},
		{base64.URLEncoding.EncodeToString([]byte("x" + secret + "and more")), secret},
		{short, short},
		{strings.ToUpper(hex.EncodeToString([]byte(short))), short},
		{base64.StdEncoding.EncodeToString([]byte("Bearer " + short + " and more")), short},
	} {
		if Find("before "+c.text+" after", c.secret) == "" {
			t.Errorf("the secret in %q is not found", c.text)
		}
	}
	if found := Find("harmless text about secrets", secret); found != "" {
		t.Errorf("found %q in harmless text", found)
	}
}

func TestFactor(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der := x509.MarshalPKCS1PrivateKey(key)
	for want, text := range map[string]string{
		"raw":     string(der),
		"hex":     fmt.Sprintf("before %x after", der),
		"base64":  "x" + base64.RawURLEncoding.EncodeToString(key.Primes[1].Bytes()) + "yz",
		"decimal": fmt.Sprintf("%v", key.Primes),
	} {
		if got := Factor(text, key.N); got != want {
			t.Errorf("a key in %s is found in %q", want, got)
		}
		if got := Factor(text, other.N); got != "" {
			t.Errorf("another key is found in %q", got)
		}
	}
	if got := Factor(fmt.Sprintf("%x %v", key.N, key.N), key.N); got != "" {
		t.Errorf("the public modulus is called a leak (%s)", got)
	}
}
