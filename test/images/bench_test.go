package images

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"skr/internal/sidecar/keyproviderpb"
	"skr/test/rsakey"
)

// BenchmarkUnWrapKey measures a cached key with eight concurrent callers. The ratio compares
// their time with the time of as many bare decryptions with an RSA key of the same size.
// The two alternate, so that a change of the machine's speed affects both.
func BenchmarkUnWrapKey(b *testing.B) {
	p := newPod(b, "SKR_KEY_CACHE_TTL=10m", "SKR_LOG_FILE="+filepath.Join(b.TempDir(), "log"))
	client := keyproviderpb.NewKeyProviderServiceClient(p.dial(b))
	in := &keyproviderpb.KeyProviderKeyWrapProtocolInput{KeyProviderKeyWrapProtocolInput: unwrapInput(p.wrapped(b, client, "layers", nil))}
	unwrap := func() {
		if _, err := client.UnWrapKey(b.Context(), in); err != nil {
			b.Error(err)
		}
	}
	bare := bareDecryption(b)
	both := func() (asked, alone time.Duration) { return eightfold(unwrap), eightfold(bare) }
	both()
	var asked, alone time.Duration
	for b.Loop() {
		a, o := both()
		asked, alone = asked+a, alone+o
	}
	b.ReportMetric(float64(asked)/float64(alone), "ratio")
}

// eightfold returns how long eight concurrent callers need to run do four times each.
func eightfold(do func()) time.Duration {
	begin := time.Now()
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 4 {
				do()
			}
		})
	}
	callers.Wait()
	return time.Since(begin)
}

func bareDecryption(b *testing.B) func() {
	b.Helper()
	pair, err := rsakey.Generate(3072)
	if err != nil {
		b.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &pair.PublicKey, []byte("the secret"), nil)
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		if _, err := rsa.DecryptOAEP(sha256.New(), nil, pair, wrapped, nil); err != nil {
			b.Error(err)
		}
	}
}
