package certificate

import (
	"crypto/x509"
	"testing"
)

func TestCheckSigner(t *testing.T) {
	for name, c := range map[string]struct {
		leaf x509.Certificate
		may  bool
	}{
		"without key usage":          {x509.Certificate{}, true},
		"digital signature":          {x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature}, true},
		"signature and encipherment": {x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}, true},
		"encipherment alone":         {x509.Certificate{KeyUsage: x509.KeyUsageKeyEncipherment}, false},
		"certificates alone":         {x509.Certificate{KeyUsage: x509.KeyUsageCertSign}, false},
		"an authority":               {x509.Certificate{IsCA: true}, false},
		"a CA that also signs":       {x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature}, false},
	} {
		if err := CheckSigner(&c.leaf); (err == nil) != c.may {
			t.Errorf("%s: %v", name, err)
		}
	}
}
