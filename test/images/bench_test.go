package images

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
	"time"

	"skr/internal/keyproviderpb"
)

// BenchmarkUnWrapKey with a key that is kept: the ratio is to the bare decryption
// with an RSA key of the same size, on this machine.
func BenchmarkUnWrapKey(b *testing.B) {
	p := newPod(b, "SKR_KEY_CACHE_TTL=10m", "SKR_LOG_LEVEL=info")
	client := keyproviderpb.NewKeyProviderServiceClient(p.dial(b))
	in := &keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: unwrapInput(p.wrapped(b, client, "layers", nil))}
	for range 3 {
		if _, err := client.UnWrapKey(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
	bare := bareDecryption(b)
	begin := time.Now()
	n := 0
	for b.Loop() {
		if _, err := client.UnWrapKey(b.Context(), in); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(time.Since(begin))/float64(n)/float64(bare), "ratio")
}

// bareDecryption is the time of one.
func bareDecryption(b *testing.B) time.Duration {
	b.Helper()
	pair, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		b.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &pair.PublicKey, []byte("the secret"), nil)
	if err != nil {
		b.Fatal(err)
	}
	const times = 100
	begin := time.Now()
	for range times {
		if _, err := rsa.DecryptOAEP(sha256.New(), nil, pair, wrapped, nil); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begin) / times
}
