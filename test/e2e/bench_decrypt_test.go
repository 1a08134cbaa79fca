package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"skr/api"
	"skr/test/rsakey"
)

// decryption opens one ciphertext of RSA-3072. Each client has its own.
type decryption func() error

// newDecryptions returns what makes decryptions for one client: with crypto/rsa in this process, with a
// sidecar as a client that reads and writes HTTP itself (see BenchmarkKept), and with a sidecar and package api.
func newDecryptions(b *testing.B, s *keeper) (bare, sidecar, library func() decryption) {
	b.Helper()
	key, err := s.client.KeptKey(b.Context(), "rsa")
	if err != nil {
		b.Fatal(err)
	}
	public, _ := key.Public().(*rsa.PublicKey)
	private, err := rsakey.Generate(public.Size() * 8)
	if err != nil {
		b.Fatal(err)
	}
	seal := func(public *rsa.PublicKey) []byte {
		sealed, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, make([]byte, 32), nil)
		if err != nil {
			b.Fatal(err)
		}
		return sealed
	}
	with := func(key crypto.Decrypter, sealed []byte) func() decryption {
		return func() decryption {
			return func() error { _, err := key.Decrypt(nil, sealed, &rsa.OAEPOptions{Hash: crypto.SHA256}); return err }
		}
	}
	sealed := seal(public)
	body := `{"alias":"rsa","alg":"RSA-OAEP-256","value":"` + base64.RawURLEncoding.EncodeToString(sealed) + `"}`
	sidecar = func() decryption {
		w := dialWire(b, s.address, api.RouteDecrypt, []byte(body))
		return func() error {
			if w.ask(b) == 0 {
				return errors.New("no answer")
			}
			return nil
		}
	}
	return with(private, seal(&private.PublicKey)), sidecar, with(key, sealed)
}

// runDecryptions runs n decryptions with some clients at a time.
func runDecryptions(b *testing.B, clients []decryption, n int) (took time.Duration) {
	b.Helper()
	var group sync.WaitGroup
	begin := time.Now()
	for _, decrypt := range clients {
		group.Go(func() {
			for range n / len(clients) {
				if err := decrypt(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	return time.Since(begin)
}

// BenchmarkDecrypt compares a decryption in the sidecar with the bare operation of crypto/rsa, by one client
// and by eight. Both take turns, so that other load of the machine slows them alike. It reports the medians in
// microseconds for each decryption, what the sidecar adds to 1.1 times the bare operation, its rate in parts of
// the bare rate, and the processor time of both processes in parts of the bare time.
func BenchmarkDecrypt(b *testing.B) {
	s := newKeeper(b, "SKR_CALLER_RATE=1000000", "SKR_LOG_FILE=/dev/null")
	bare, sidecar, library := newDecryptions(b, s)
	compare := func(kept func() decryption, n, clients int) func(*testing.B) {
		return func(b *testing.B) {
			var one, other []decryption
			for range clients {
				one, other = append(one, bare()), append(other, kept())
			}
			cpu := func() time.Duration { return cpuTime(b, s.process.Process.Pid) + cpuTime(b, os.Getpid()) }
			var alone, through []time.Duration
			var used [2]time.Duration
			for b.Loop() {
				begin := cpu()
				alone = append(alone, runDecryptions(b, one, n)/time.Duration(n))
				between := cpu()
				through = append(through, runDecryptions(b, other, n)/time.Duration(n))
				used[0], used[1] = used[0]+between-begin, used[1]+cpu()-between
			}
			slices.Sort(alone)
			slices.Sort(through)
			x, y := alone[len(alone)/2].Seconds()*1e6, through[len(through)/2].Seconds()*1e6
			b.ReportMetric(x, "bare-µs")
			b.ReportMetric(y, "sidecar-µs")
			b.ReportMetric(y-1.1*x, "above-1.1-µs")
			b.ReportMetric(x/y, "of-bare-rate")
			b.ReportMetric(used[1].Seconds()/used[0].Seconds(), "of-bare-cpu")
		}
	}
	b.Run("clients=1", compare(sidecar, 16, 1))
	b.Run("clients=8", compare(sidecar, 64, 8))
	b.Run("library,clients=1", compare(library, 16, 1))
	b.Run("library,clients=8", compare(library, 64, 8))
}
