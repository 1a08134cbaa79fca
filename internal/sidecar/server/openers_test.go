package server

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"skr/hsm"
)

func rsaKey(t *testing.T) *hsm.Key {
	t.Helper()
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	members, err := json.Marshal(map[string]string{
		"kty": "RSA", "n": text(pair.N.Bytes()), "e": "AQAB", "d": text(pair.D.Bytes()),
		"p": text(pair.Primes[0].Bytes()), "q": text(pair.Primes[1].Bytes()),
		"dp": text(pair.Precomputed.Dp.Bytes()), "dq": text(pair.Precomputed.Dq.Bytes()), "qi": text(pair.Precomputed.Qinv.Bytes()),
	})
	if err != nil {
		t.Fatal(err)
	}
	return newKey(string(members))
}

// An opened key is cached as long as released keys, and not at all if they are not.
func TestOpeners(t *testing.T) {
	key := rsaKey(t)
	for _, ttl := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			o := newOpeners(ttl)
			of := func() Opener {
				opened, err := o.of(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				return opened
			}
			first := of()
			if same := of() == first; same != (ttl > 0) {
				t.Errorf("ttl %v: kept is %v", ttl, same)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if of() == first {
				t.Errorf("ttl %v: kept for longer", ttl)
			}
		})
	}
	if _, err := newOpeners(0).of(t.Context(), newKey(`{"kty":"OKP","k":"c2VjcmV0"}`)); err == nil {
		t.Error("a key of another type was opened")
	}
}

// A caller that opens many keys does not evict what others have opened.
func TestOpenersOfOneCallerAreApart(t *testing.T) {
	o := newOpeners(time.Hour)
	o.keep("victim", "mine", nil)
	for i := range 2 * maxOpeners {
		o.keep("flooder", strconv.Itoa(i), nil)
	}
	if _, found := o.held.Peek("mine"); !found || o.held.Len() != maxOpeners+1 {
		t.Errorf("mine is cached: %v, of %d", found, o.held.Len())
	}
}
