package hsm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"skr/internal/refusal"
)

// withoutNonce is a vault that does not echo the nonce. Tests may replace its answers.
func withoutNonce(t *testing.T) (v *vault, replay func(string)) {
	t.Helper()
	v = newVault(t)
	var instead string
	v.spoil = func(r *release) {
		delete(at(r.payload, "request"), "nonce")
		r.spoilText = func(text string) string {
			if instead != "" {
				return instead
			}
			return text
		}
	}
	return v, func(text string) { instead = text }
}

// catch returns the text of the next statement.
func catch(v *vault, text *string) {
	spoil := v.spoil
	v.spoil = func(r *release) {
		spoil(r)
		next := r.spoilText
		r.spoilText = func(original string) string {
			if *text == "" {
				*text = original
			}
			return next(original)
		}
	}
}

// A statement without the nonce is accepted once for each KEK, across all clients.
func TestStatementIsTakenOnce(t *testing.T) {
	v, replay := withoutNonce(t)
	var first string
	catch(v, &first)
	seen := new(Statements)
	ask := func(seen *Statements) error {
		with := grant
		with.Seen = seen
		_, err := v.client().Release(t.Context(), v.id(keyName), with)
		return err
	}
	for range 3 { // the vault's statements for equal requests differ
		if err := ask(seen); err != nil {
			t.Fatal(err)
		}
	}
	replay(first)
	for range 2 {
		checkRefusal(t, ask(seen), refusal.Untrusted, "replay")
	}
	if err := ask(new(Statements)); err != nil {
		t.Errorf("with another KEK the statement does not open: %v", err)
	}
	replay("")
	if err := ask(seen); err != nil {
		t.Errorf("the next honest statement: %v", err)
	}
}

// Another signature over the same content does not make a new statement: for each ECDSA
// signature (r, s), (r, -s) is valid too.
func TestReplayWithAnotherSignature(t *testing.T) {
	v, replay := withoutNonce(t)
	key := newEC(t, elliptic.P256())
	leaf := v.issuer.issue(t, key.Public(), nil)
	spoil := v.spoil
	v.spoil = func(r *release) {
		spoil(r)
		r.signer, r.method, r.header["alg"], r.chain[0] = key, jwt.SigningMethodES256, "ES256", leaf
	}
	var first string
	catch(v, &first)
	with := grant
	with.Seen = new(Statements)
	if _, err := v.client().Release(t.Context(), v.id(keyName), with); err != nil {
		t.Fatal(err)
	}
	replay(mirrored(t, first, key))
	_, err := v.client().Release(t.Context(), v.id(keyName), with)
	checkRefusal(t, err, refusal.Untrusted, "replay")
}

func mirrored(t *testing.T, text string, key *ecdsa.PrivateKey) string {
	t.Helper()
	end := strings.LastIndexByte(text, '.') + 1
	signature, err := base64.RawURLEncoding.DecodeString(text[end:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(key.Params().N, s).FillBytes(signature[32:])
	return text[:end] + base64.RawURLEncoding.EncodeToString(signature)
}

// Forged statements are not remembered. Otherwise they would block the genuine one.
func TestForgedStatementsAreNotRemembered(t *testing.T) {
	v, replay := withoutNonce(t)
	var first string
	catch(v, &first)
	if _, err := v.release(keyName); err != nil {
		t.Fatal(err)
	}
	with := grant
	with.Seen = new(Statements)
	replay(first[:strings.LastIndexByte(first, '.')+1] + b64(strings.Repeat("x", 256)))
	_, err := v.client().Release(t.Context(), v.id(keyName), with)
	checkRefusal(t, err, refusal.Untrusted, "not signed")
	replay(first)
	if _, err := v.client().Release(t.Context(), v.id(keyName), with); err != nil {
		t.Errorf("the genuine one: %v", err)
	}
}

// If many concurrent releases get the same statement, one succeeds.
func TestReplaysAtOnce(t *testing.T) {
	seen, taken := new(Statements), atomic.Int32{}
	var callers sync.WaitGroup
	for range 32 {
		callers.Go(func() {
			if seen.admit([32]byte{1}) == nil {
				taken.Add(1)
			}
		})
	}
	callers.Wait()
	if taken.Load() != 1 {
		t.Errorf("accepted %d times", taken.Load())
	}
}

// No statement is forgotten before a new KEK is due. A KEK that stays in use remembers
// the latest statements.
func TestStatementsAreBounded(t *testing.T) {
	seen := new(Statements)
	digest := func(n int) (d [32]byte) { binary.BigEndian.PutUint64(d[:], uint64(n)); return d }
	for n := range 10 * generation {
		if full := seen.Full(); full != (n >= generation) {
			t.Fatalf("full is %v after %d", full, n)
		}
		if err := seen.admit(digest(n)); err != nil {
			t.Fatal(err)
		}
		if len(seen.young) > 2*generation || len(seen.old) > 2*generation {
			t.Fatalf("%d and %d are remembered", len(seen.young), len(seen.old))
		}
		if n == generation-1 || n > 4*generation {
			for _, back := range []int{0, 1, generation - 1} {
				if seen.admit(digest(n-back)) == nil {
					t.Fatalf("the statement %d before the latest is forgotten after %d", back, n)
				}
			}
		}
	}
}
