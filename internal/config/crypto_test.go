package config

import (
	"strings"
	"testing"
)

// A name that is no DNS name, or that requests cannot have, is refused.
func TestCryptoNames(t *testing.T) {
	for names, want := range map[string]string{
		"keys.contoso.internal,KEYS": "", "a b": `"a b"`, "ok,*.contoso": `"*.contoso"`, "keys:8443": `"keys:8443"`, "10.0.0.1": `"10.0.0.1"`,
	} {
		_, _, err := Load(nil, Environment{"SKR_CRYPTO_NAMES": names})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "crypto_names: "+want) {
			t.Errorf("%s: %v, want %s", names, err, want)
		}
	}
}
