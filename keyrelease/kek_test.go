package keyrelease

import (
	"context"
	"crypto/rsa"
	"encoding/binary"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"skr/attest"
	"skr/hsm"
	"skr/internal/jose/keywrap"
	"skr/test/rsakey"
)

// tpmKey stands in for a key of a TPM.
type tpmKey struct {
	attest.GuestKey

	public *rsa.PublicKey
}

func (k tpmKey) RSA() *rsa.PublicKey                       { return k.public }
func (tpmKey) Decrypter(context.Context) keywrap.Decrypter { return nil }

func newTPMKey(t *testing.T) tpmKey {
	t.Helper()
	pair, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	return tpmKey{public: &pair.PublicKey}
}

// fill makes the memory one of a KEK that has reached its limit of statements.
func fill(seen *hsm.Statements) {
	digests := make(map[[16]byte]struct{})
	for n := range 8 << 10 {
		var digest [16]byte
		binary.BigEndian.PutUint64(digest[:], uint64(n))
		digests[digest] = struct{}{}
	}
	field := reflect.ValueOf(seen).Elem().FieldByName("young")
	*(*map[[16]byte]struct{})(unsafe.Pointer(field.UnsafeAddr())) = digests
}

// The vault gets the memory of the KEK to which it wraps. All releases with one KEK share
// one memory. A new KEK has a new memory and replaces the old KEK before its memory is full.
func TestStatementsBelongToTheKEK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: 8 * time.Hour}
		r := newReleaser(p, time.Hour)
		req := parseRequest(t, "a.eus.attest.azure.net")
		release(t, r, req)
		first := p.grant.Seen
		release(t, r, req)
		if first == nil || p.grant.Seen != first {
			t.Error("one KEK has two memories or none")
		}
		fill(first)
		if release(t, r, req); p.grant.Seen == first || p.attestations != 2 {
			t.Errorf("a full memory is still used after %d attestations", p.attestations)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := &fakeParties{lifetime: 8 * time.Hour}
		r := newReleaser(p, 0)
		release(t, r, parseRequest(t, "a.eus.attest.azure.net"))
		first := p.grant.Seen
		if release(t, r, parseRequest(t, "a.eus.attest.azure.net")); first == nil || p.grant.Seen == first {
			t.Error("another KEK has the memory of the first")
		}
	})
}

// The TPM's key and its memory are the same for each attestation and authority. The key
// cannot be replaced, so a full memory does not cause a new attestation.
func TestStatementsOfTheTPMsKey(t *testing.T) {
	r := New(Config{AttestationMaxAge: time.Hour})
	key, another := newTPMKey(t), newTPMKey(t)
	again := tpmKey{public: &rsa.PublicKey{N: key.public.N, E: key.public.E}}
	first := r.statements(key)
	if r.statements(again) != first {
		t.Error("the same key has a new memory")
	}
	fill(first)
	held := &attestedKEK{kek: key, result: &attest.Result{Expires: time.Now().Add(time.Hour)}, made: time.Now(), seen: first}
	if !r.isFresh(held) {
		t.Error("a full memory makes the TPM's key stale")
	}
	if r.statements(another) == first {
		t.Error("another key has the memory of the first")
	}
}
