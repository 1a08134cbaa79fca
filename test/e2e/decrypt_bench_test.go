package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"slices"
	"sync"
	"testing"
	"time"
)

// decryption opens one ciphertext.
type decryption func() error

// newDecryptions returns the bare operation of crypto/rsa and that of a sidecar, each with a key of 3072 bits.
func newDecryptions(b *testing.B) (bare, sidecar decryption) {
	b.Helper()
	s := newKeeper(b, "SKR_CALLER_RATE=1000000", "SKR_LOG_FILE=/dev/null")
	key, err := s.client.KeptKey(b.Context(), "rsa")
	if err != nil {
		b.Fatal(err)
	}
	public, _ := key.Public().(*rsa.PublicKey)
	private, err := rsa.GenerateKey(rand.Reader, public.Size()*8)
	if err != nil {
		b.Fatal(err)
	}
	with := func(key crypto.Decrypter, public *rsa.PublicKey) decryption {
		sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, make([]byte, 32), nil)
		if err != nil {
			b.Fatal(err)
		}
		return func() error { _, err := key.Decrypt(nil, sealed, &rsa.OAEPOptions{Hash: crypto.SHA256}); return err }
	}
	return with(private, &private.PublicKey), with(key, public)
}

// took returns how long n decryptions take with some clients at a time.
func (d decryption) took(b *testing.B, n, clients int) time.Duration {
	b.Helper()
	var group sync.WaitGroup
	begin := time.Now()
	for range clients {
		group.Go(func() {
			for range n / clients {
				if err := d(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return time.Since(begin)
}

// BenchmarkDecrypt compares a decryption in the sidecar with the bare operation of crypto/rsa, by one
// client and by eight. Both take turns, so that other load of the machine slows them alike. It reports
// the medians in microseconds for each decryption, and with one client what the sidecar adds to 1.1 times
// the bare operation.
func BenchmarkDecrypt(b *testing.B) {
	bare, sidecar := newDecryptions(b)
	compare := func(n, clients int) func(*testing.B) {
		return func(b *testing.B) {
			var alone, kept []time.Duration
			for b.Loop() {
				alone = append(alone, bare.took(b, n, clients)/time.Duration(n))
				kept = append(kept, sidecar.took(b, n, clients)/time.Duration(n))
			}
			slices.Sort(alone)
			slices.Sort(kept)
			x, y := alone[len(alone)/2].Seconds()*1e6, kept[len(kept)/2].Seconds()*1e6
			b.ReportMetric(x, "bare-us")
			b.ReportMetric(y, "sidecar-us")
			b.ReportMetric(x/y, "rate-ratio")
			if clients == 1 {
				b.ReportMetric(y-1.1*x, "added-us")
			}
		}
	}
	b.Run("clients=1", compare(1, 1))
	b.Run("clients=8", compare(64, 8))
}
