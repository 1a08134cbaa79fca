package maa

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"

	"skr/test/rsakey"
)

// Forgery is a fault in a token that a client must detect.
type Forgery string

// The forgeries.
const (
	AlgNone        Forgery = "alg-none"        // RFC 7519 section 6: alg none, empty signature
	HS256          Forgery = "hs256"           // HMAC with the public key's PEM as the secret
	OtherIssuer    Forgery = "other-issuer"    // iss is another instance
	Expired        Forgery = "expired"         // nine hours old
	NotYetValid    Forgery = "not-yet-valid"   // valid an hour from now
	OtherKEK       Forgery = "other-kek"       // the first key of x-ms-runtime is replaced
	WrongNonce     Forgery = "wrong-nonce"     // nonce differs from the request's, as does the client payload's
	UnknownKid     Forgery = "unknown-kid"     // signed by a key that /certs does not list
	OtherSignature Forgery = "other-signature" // the right kid, but another key's signature
)

// forgers change a draft. The key is the instance's own.
var forgers = map[Forgery]func(*draft, *signingKey) error{
	AlgNone: func(d *draft, _ *signingKey) error {
		d.header.Alg, d.sign = "none", unsigned
		return nil
	},
	HS256: func(d *draft, k *signingKey) error {
		d.header.Alg, d.sign = "HS256", hs256(k.spki[:len(k.spki)-1])
		return nil
	},
	OtherIssuer: func(d *draft, _ *signingKey) error {
		d.claims["iss"] = "https://other.oth.attest.localhost"
		return nil
	},
	Expired:        func(d *draft, _ *signingKey) error { return d.shift(-9 * time.Hour) },
	NotYetValid:    func(d *draft, _ *signingKey) error { return d.shift(time.Hour) },
	OtherKEK:       func(d *draft, _ *signingKey) error { return d.swapKEK() },
	WrongNonce:     func(d *draft, _ *signingKey) error { return d.swapNonce() },
	UnknownKid:     func(d *draft, _ *signingKey) error { return d.signWithOther(true) },
	OtherSignature: func(d *draft, _ *signingKey) error { return d.signWithOther(false) },
}

// Forgeries returns the forgeries of tokens.
func Forgeries() []Forgery { return slices.Sorted(maps.Keys(forgers)) }

func (d *draft) spoil(f Forgery, k *signingKey) error {
	if f == "" {
		return nil
	}
	if _, later := envelopeForgers[f]; later {
		return nil
	}
	forge, ok := forgers[f]
	if !ok {
		return fmt.Errorf("maa: unknown forgery %q", f)
	}
	return forge(d, k)
}

func (d *draft) shift(by time.Duration) error {
	for _, name := range []string{"exp", "iat", "nbf"} {
		at, _ := d.claims[name].(int64)
		d.claims[name] = at + int64(by/time.Second)
	}
	return nil
}

func (d *draft) signWithOther(named bool) error {
	other, err := rsakey.Generate(keyBits)
	if err != nil {
		return err
	}
	spki, err := preimage(&other.PublicKey)
	if err != nil {
		return err
	}
	if named {
		d.header.Kid = keyID(spki)
	}
	d.sign = rs256(other)
	return nil
}

func (d *draft) swapNonce() error {
	runtime, _ := d.claims["x-ms-runtime"].(map[string]any)
	if payload, ok := runtime["client-payload"].(map[string]string); ok && payload["nonce"] != "" {
		payload["nonce"] = base64.StdEncoding.EncodeToString([]byte("0"))
		return nil
	}
	d.claims["nonce"] = "0"
	return nil
}

// swapKEK leaves a token without keys unchanged.
func (d *draft) swapKEK() error {
	runtime, _ := d.claims["x-ms-runtime"].(map[string]any)
	keys, _ := runtime["keys"].([]any)
	if len(keys) == 0 {
		return nil
	}
	first, ok := keys[0].(map[string]any)
	if !ok {
		return nil
	}
	other, err := rsakey.Generate(keyBits)
	if err != nil {
		return err
	}
	first["n"] = base64.RawURLEncoding.EncodeToString(other.N.Bytes())
	return nil
}
