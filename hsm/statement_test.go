package hsm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/internal/refusal"
)

// TestStatementAccepted checks the permitted differences between honest vaults.
func TestStatementAccepted(t *testing.T) {
	signedBy := func(method jwt.SigningMethod) func(*testing.T, *vault, *release) {
		return func(_ *testing.T, _ *vault, r *release) { r.method, r.header["alg"] = method, method.Alg() }
	}
	signedOn := func(curve elliptic.Curve, method jwt.SigningMethod) func(*testing.T, *vault, *release) {
		return func(t *testing.T, v *vault, r *release) {
			key := newEC(t, curve)
			r.signer, r.method, r.header["alg"] = key, method, method.Alg()
			r.chain[0] = v.issuer.issue(t, key.Public(), nil)
		}
	}
	for name, spoil := range map[string]func(*testing.T, *vault, *release){
		"as recorded":      func(*testing.T, *vault, *release) {},
		"RS384":            signedBy(jwt.SigningMethodRS384),
		"RS512":            signedBy(jwt.SigningMethodRS512),
		"PS256":            signedBy(jwt.SigningMethodPS256),
		"PS384":            signedBy(jwt.SigningMethodPS384),
		"PS512":            signedBy(jwt.SigningMethodPS512),
		"ES256":            signedOn(elliptic.P256(), jwt.SigningMethodES256),
		"ES384":            signedOn(elliptic.P384(), jwt.SigningMethodES384),
		"ES512":            signedOn(elliptic.P521(), jwt.SigningMethodES512),
		"without the root": func(_ *testing.T, _ *vault, r *release) { r.chain = r.chain[:2] },
		"no nonce":         func(_ *testing.T, _ *vault, r *release) { delete(at(r.payload, "request"), "nonce") },
		"no attributes":    func(_ *testing.T, _ *vault, r *release) { delete(at(r.payload, "response", "key"), "attributes") },
		"another case": func(_ *testing.T, v *vault, r *release) {
			at(r.payload, "request")["kid"] = strings.Replace(v.kid, "my-key", "My-Key", 1)
		},
		"resolved request": func(_ *testing.T, v *vault, r *release) { at(r.payload, "request")["kid"] = v.kid + "/" + keyVersion },
		"unknown members": func(_ *testing.T, _ *vault, r *release) {
			r.payload["new"], r.header["jku"] = tree{"a": 1}, "https://evil.example"
		},
		"leaf that signs": func(t *testing.T, v *vault, r *release) {
			r.chain[0] = v.issuer.issue(t, v.signer.Public(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment })
		},
		"capitals elsewhere": func(_ *testing.T, _ *vault, r *release) { r.payload["NONCE"], r.header["CTY"] = 1, "x" },
		"certificate's own": func(t *testing.T, v *vault, r *release) {
			r.chain[0] = v.issuer.issue(t, v.signer.Public(), func(c *x509.Certificate) { c.DNSNames = []string{vaultName} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.spoil = func(r *release) { spoil(t, v, r) }
			wrapped, err := v.release(keyName)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := wrapped.Unwrap(testKEK().Decrypter(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStatementRefused changes each part of a good statement once.
func TestStatementRefused(t *testing.T) {
	const (
		malformed = "malformed"
		unsigned  = "not signed by the vault"
		unasked   = "does not answer what was asked"
	)
	member := func(value any, path ...string) func(*testing.T, *vault, *release) {
		return func(_ *testing.T, _ *vault, r *release) {
			o := at(r.payload, path[:len(path)-1]...)
			if value == nil {
				delete(o, path[len(path)-1])
			} else {
				o[path[len(path)-1]] = value
			}
		}
	}
	key := func(value any, name string) func(*testing.T, *vault, *release) {
		return member(value, "response", "key", "key", name)
	}
	kid := func(path []string, change func(string) string) func(*testing.T, *vault, *release) {
		return func(_ *testing.T, _ *vault, r *release) {
			o := at(r.payload, path...)
			o["kid"] = change(o["kid"].(string))
		}
	}
	request, released := []string{"request"}, []string{"response", "key", "key"}
	text := func(spoil func(string) string) func(*testing.T, *vault, *release) {
		return func(_ *testing.T, _ *vault, r *release) { r.spoilText = spoil }
	}
	part := func(i int, spoil func(string) string) func(*testing.T, *vault, *release) {
		return text(func(s string) string {
			parts := strings.Split(s, ".")
			parts[i] = spoil(parts[i])
			return strings.Join(parts, ".")
		})
	}
	header := func(name string, value any) func(*testing.T, *vault, *release) {
		return func(_ *testing.T, _ *vault, r *release) { r.header[name] = value }
	}
	leaf := func(change func(*x509.Certificate)) func(*testing.T, *vault, *release) {
		return func(t *testing.T, v *vault, r *release) { r.chain[0] = v.issuer.issue(t, v.signer.Public(), change) }
	}
	wrapped := func(change func(tree)) func(*testing.T, *vault, *release) {
		return func(_ *testing.T, _ *vault, r *release) { change(r.keyHSM) }
	}
	for name, c := range map[string]struct {
		spoil  func(*testing.T, *vault, *release)
		reason string
	}{
		"empty":               {text(func(string) string { return "" }), malformed},
		"two parts":           {text(func(s string) string { return s[:strings.LastIndex(s, ".")] }), malformed},
		"four parts":          {text(func(s string) string { return s + ".AA" }), malformed},
		"JSON serialisation":  {text(func(s string) string { return `{"payload":"` + s + `"}` }), malformed},
		"too long":            {text(func(s string) string { return s + strings.Repeat("A", maxStatement) }), malformed},
		"padded":              {part(1, func(s string) string { return s + "=" }), malformed},
		"line break":          {part(1, func(s string) string { return s[:4] + "\n" + s[4:] }), malformed},
		"standard base64":     {part(2, func(s string) string { return "+/" + s[2:] }), malformed},
		"stray bits":          {part(2, func(s string) string { return s[:len(s)-1] + string(s[len(s)-1]+1) }), malformed},
		"no signature":        {part(2, func(string) string { return "" }), unsigned},
		"no payload":          {part(1, func(string) string { return "" }), unsigned},
		"no header":           {part(0, func(string) string { return "" }), malformed},
		"header is not JSON":  {part(0, func(string) string { return "AAAA" }), malformed},
		"header duplicates":   {part(0, func(string) string { return b64(`{"alg":"RS256","alg":"none"}`) }), malformed},
		"header of types":     {part(0, func(string) string { return b64(`{"alg":1}`) }), malformed},
		"crit":                {header("crit", []string{"exp"}), malformed},
		"crit null":           {header("crit", nil), malformed},
		"flipped signature":   {part(2, func(s string) string { return flip(s, 10) }), unsigned},
		"flipped payload":     {part(1, func(s string) string { return flip(s, 40) }), unsigned},
		"flipped header":      {part(0, func(s string) string { return b64(strings.Replace(unb64(s), "opaque", "Opaque", 1)) }), unsigned},
		"alg none":            {header("alg", "none"), unsigned},
		"alg HS256":           {header("alg", "HS256"), unsigned},
		"alg missing":         {header("alg", ""), unsigned},
		"alg of another type": {header("alg", "ES256"), unsigned},
		"alg of another hash": {header("alg", "RS384"), unsigned},
		"alg PSS":             {header("alg", "PS256"), unsigned},
		"alg EdDSA":           {header("alg", "EdDSA"), unsigned},
		"no x5c":              {header("x5c", []string{}), unsigned},
		"x5c is a string":     {header("x5c", "MIIB"), malformed},
		"x5c is not base64":   {header("x5c", []string{"%"}), unsigned},
		"x5c is not DER":      {header("x5c", []string{"AAAA"}), unsigned},
		"seven certificates": {func(_ *testing.T, v *vault, r *release) {
			r.chain = append(r.chain, slices.Repeat([]*x509.Certificate{v.root.certificate}, 4)...)
		}, unsigned},
		"false alg": {func(t *testing.T, v *vault, r *release) {
			k := newEC(t, elliptic.P256())
			r.signer, r.method, r.header["alg"] = k, jwt.SigningMethodES256, "ES384"
			r.chain[0] = v.issuer.issue(t, k.Public(), nil)
		}, unsigned},
		"x5c line breaks": {func(_ *testing.T, _ *vault, r *release) {
			c := b64std(r.chain[0].Raw)
			r.header["x5c"] = []string{c[:8] + "\n" + c[8:], b64std(r.chain[1].Raw)}
		}, unsigned},
		"no intermediate": {func(_ *testing.T, _ *vault, r *release) { r.chain = r.chain[:1] }, unsigned},
		"leaf not first":  {func(_ *testing.T, _ *vault, r *release) { r.chain[0], r.chain[1] = r.chain[1], r.chain[0] }, unsigned},
		"another CA": {func(t *testing.T, v *vault, r *release) {
			other := newCA(t, nil)
			r.chain[0] = other.issue(t, v.signer.Public(), nil)
			r.chain[1] = other.certificate
		}, unsigned},
		"self-signed":        {func(t *testing.T, v *vault, r *release) { r.chain = selfSigned(t, v) }, unsigned},
		"another leaf's key": {func(t *testing.T, _ *vault, r *release) { r.signer = newRSA(t, 2048) }, unsigned},
		"another name":       {leaf(func(c *x509.Certificate) { c.DNSNames = []string{"other.vault.localhost"} }), unsigned},
		"parent's name":      {leaf(func(c *x509.Certificate) { c.DNSNames = []string{"vault.localhost"} }), unsigned},
		"common name only":   {leaf(func(c *x509.Certificate) { c.DNSNames = nil; c.Subject.CommonName = vaultName }), unsigned},
		"expired":            {leaf(func(c *x509.Certificate) { c.NotAfter = clock.Add(-time.Second) }), unsigned},
		"not yet valid":      {leaf(func(c *x509.Certificate) { c.NotBefore = clock.Add(time.Second) }), unsigned},
		"client certificate": {leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), unsigned},
		"leaf that is a CA":  {leaf(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), unsigned},
		"CA that may sign": {leaf(func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
		}), unsigned},
		"leaf that wraps": {leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), unsigned},
		"leaf for code":   {leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), unsigned},
		"x5c in capitals": {func(_ *testing.T, _ *vault, r *release) { renameMember(r.header, "x5c", "X5C", x5cOf(r)) }, malformed},
		"alg in capitals": {func(_ *testing.T, _ *vault, r *release) { renameMember(r.header, "alg", "Alg", "RS256") }, malformed},
		"kid in capitals": {func(_ *testing.T, v *vault, r *release) { renameMember(at(r.payload, request...), "kid", "KID", v.kid) }, malformed},
		"nonce in capitals": {func(_ *testing.T, _ *vault, r *release) {
			renameMember(at(r.payload, request...), "nonce", "Nonce", "x")
		}, malformed},
		"key in capitals":           {func(_ *testing.T, _ *vault, r *release) { renameMember(r.key, "crv", "CRV", r.key["crv"]) }, malformed},
		"key_hsm's enc in capitals": {wrapped(func(o tree) { renameMember(at(o, "header"), "enc", "Enc", at(o, "header")["enc"]) }), malformed},
		"RSA of 1024 bits": {func(t *testing.T, v *vault, r *release) {
			k := newRSA(t, 1024)
			r.signer = k
			r.chain[0] = v.issuer.issue(t, k.Public(), nil)
		}, unsigned},
		"ES384 on P-256":      {func(t *testing.T, v *vault, r *release) { signAcross(t, v, r) }, unsigned},
		"payload duplicates":  {func(t *testing.T, _ *vault, r *release) { duplicateMember(t, r) }, malformed},
		"no request":          {member(nil, "request"), malformed},
		"no request kid":      {member(nil, "request", "kid"), malformed},
		"no response":         {member(nil, "response"), malformed},
		"no key":              {member(nil, "response", "key", "key"), malformed},
		"key is a string":     {member("x", "response", "key", "key"), malformed},
		"no key kid":          {key(nil, "kid"), malformed},
		"kid is a number":     {key(1, "kid"), malformed},
		"kid over http":       {kid(released, func(s string) string { return strings.Replace(s, "https", "http", 1) }), malformed},
		"kid with a query":    {kid(released, func(s string) string { return s + "?a" }), malformed},
		"kid with a user":     {kid(request, func(s string) string { return strings.Replace(s, "https://", "https://a@", 1) }), malformed},
		"kid with a slash":    {kid(request, func(s string) string { return s + "/" }), malformed},
		"kid of a secret":     {kid(released, func(s string) string { return strings.Replace(s, "/keys/", "/secrets/", 1) }), malformed},
		"kid too long":        {kid(request, func(s string) string { return s + strings.Repeat("a", maxKeyURL) }), malformed},
		"request: other host": {kid(request, func(s string) string { return strings.Replace(s, "demo", "other", 1) }), unasked},
		"request: no port": {kid(request, func(s string) string {
			return strings.Replace(s, s[strings.LastIndex(s, ":"):strings.Index(s, "/keys")], "", 1)
		}), unasked},
		"request: other name":   {kid(request, func(s string) string { return s + "2" }), unasked},
		"released: other host":  {kid(released, func(s string) string { return strings.Replace(s, "demo", "other", 1) }), unasked},
		"released: other name":  {kid(released, func(s string) string { return strings.Replace(s, keyName, "another", 1) }), unasked},
		"released: no version":  {kid(released, func(s string) string { return strings.TrimSuffix(s, "/"+keyVersion) }), unasked},
		"no enc":                {member(nil, "request", "enc"), unasked},
		"enc CKM":               {member("CKM_RSA_AES_KEY_WRAP", "request", "enc"), unasked},
		"another nonce":         {member("another", "request", "nonce"), unasked},
		"empty nonce":           {member("", "request", "nonce"), unasked},
		"no kty":                {key(nil, "kty"), malformed},
		"kty unknown":           {key("OKP", "kty"), malformed},
		"kty RSA for EC":        {key("RSA-HSM", "kty"), malformed},
		"kty oct for EC":        {key("oct-HSM", "kty"), malformed},
		"no crv":                {key(nil, "crv"), malformed},
		"crv of another key":    {key("P-384", "crv"), malformed},
		"off the curve":         {key("AAAA", "x"), malformed},
		"key_ops is a string":   {key("sign", "key_ops"), malformed},
		"no key_hsm":            {func(_ *testing.T, _ *vault, r *release) { r.keyHSM = nil }, malformed},
		"key_hsm is not base64": {func(_ *testing.T, _ *vault, r *release) { r.keyHSM = nil; at(r.payload, released...)["key_hsm"] = "%" }, malformed},
		"key_hsm padded": {func(_ *testing.T, _ *vault, r *release) {
			r.keyHSM = nil
			at(r.payload, released...)["key_hsm"] = "e30="
		}, malformed},
		"key_hsm is not JSON": {func(_ *testing.T, _ *vault, r *release) {
			r.keyHSM = nil
			at(r.payload, released...)["key_hsm"] = "AAAA"
		}, malformed},
		"key_hsm duplicates": {func(_ *testing.T, _ *vault, r *release) {
			r.keyHSM = nil
			at(r.payload, released...)["key_hsm"] = b64(`{"a":1,"a":2}`)
		}, malformed},
		"key_hsm enc":            {wrapped(func(o tree) { at(o, "header")["enc"] = "RSA_AES_KEY_WRAP_384" }), unasked},
		"key_hsm no enc":         {wrapped(func(o tree) { delete(at(o, "header"), "enc") }), unasked},
		"no ciphertext":          {wrapped(func(o tree) { delete(o, "ciphertext") }), malformed},
		"ciphertext padded":      {wrapped(func(o tree) { o["ciphertext"] = o["ciphertext"].(string) + "=" }), malformed},
		"ciphertext is a number": {wrapped(func(o tree) { o["ciphertext"] = 1 }), malformed},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.spoil = func(r *release) { c.spoil(t, v, r) }
			_, err := v.release(keyName)
			checkRefusal(t, err, refusal.Untrusted, c.reason)
		})
	}
}

// TestDescriptiveMembers checks that a statement's description of a key does not block
// the key. A symmetric key has no public part to prove that it was parsed correctly, so
// its description must match.
func TestDescriptiveMembers(t *testing.T) {
	attribute := func(value any) func(*release) {
		return func(r *release) {
			at(r.payload, "response", "key")["attributes"].(tree)["exportable"] = value
		}
	}
	for name, c := range map[string]struct {
		spoil func(*release)
		form  bool // of key_hsm
	}{
		"not exportable":         {attribute(false), false},
		"exportable is a string": {attribute("true"), false},
		"no attributes":          {func(r *release) { delete(at(r.payload, "response", "key"), "attributes") }, false},
		"another schema version": {func(r *release) { r.keyHSM["schema_version"] = "2.0" }, true},
		"no schema version":      {func(r *release) { delete(r.keyHSM, "schema_version") }, true},
		"schema version 1":       {func(r *release) { r.keyHSM["schema_version"] = 1 }, true},
		"another alg":            {func(r *release) { at(r.keyHSM, "header")["alg"] = "RSA-OAEP" }, true},
		"no alg":                 {func(r *release) { delete(at(r.keyHSM, "header"), "alg") }, true},
	} {
		for kind, key := range map[string]any{"EC-HSM": newEC(t, elliptic.P256()), "oct-HSM": bytes.Repeat([]byte{7}, 32)} {
			t.Run(name+" "+kind, func(t *testing.T) {
				v := newVault(t)
				v.kty, v.key = kind, key
				v.spoil = c.spoil
				wrapped, err := v.release(keyName)
				if c.form && kind == "oct-HSM" {
					checkRefusal(t, err, refusal.Untrusted, "malformed")
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				released, err := wrapped.Unwrap(testKEK().Decrypter(t.Context()))
				if err != nil {
					t.Fatal(err)
				}
				released.Wipe()
			})
		}
	}
}

// The error for a misread key includes the key's description of itself.
func TestUnfamiliarDescriptionIsReported(t *testing.T) {
	v := newVault(t)
	v.spoil = func(r *release) {
		r.keyHSM["schema_version"] = "2.0"
		r.keyHSM["ciphertext"] = b64(strings.Repeat("A", 400))
	}
	wrapped, err := v.release(keyName)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wrapped.Unwrap(testKEK().Decrypter(t.Context()))
	if err == nil || !errors.Is(err, refusal.Untrusted) || !strings.Contains(err.Error(), `schema version "2.0"`) {
		t.Errorf("error %v", err)
	}
}

func renameMember(o tree, from, to string, value any) { delete(o, from); o[to] = value }

// x5cOf returns the member that the statement would have.
func x5cOf(r *release) []string {
	var x5c []string
	for _, certificate := range r.chain {
		x5c = append(x5c, b64std(certificate.Raw))
	}
	r.chain = nil
	return x5c
}

// TestAnotherVersionIsRefused checks that request and answer name the version that was
// requested.
func TestAnotherVersionIsRefused(t *testing.T) {
	const other = "ffffffffffffffffffffffffffffffff"
	v := newVault(t)
	v.spoil = func(r *release) { at(r.payload, "request")["kid"] = v.kid + "/" + other }
	if _, err := v.release(keyName + "/" + other); err == nil {
		t.Error("a statement for another version was accepted")
	}
	v.spoil = func(r *release) { at(r.payload, "request")["kid"] = v.kid }
	if _, err := v.release(keyName + "/" + keyVersion); err == nil {
		t.Error("a statement without a version in its request was accepted")
	}
	v.spoil = nil
	if _, err := v.release(keyName + "/" + keyVersion); err != nil {
		t.Error(err)
	}
}

// TestReplayIsRefused replays the statement of an earlier release, which has another nonce.
func TestReplayIsRefused(t *testing.T) {
	v := newVault(t)
	var first *release
	v.spoil = func(r *release) {
		if first == nil {
			first = r
			return
		}
		*r = *first
	}
	if _, err := v.release(keyName); err != nil {
		t.Fatal(err)
	}
	_, err := v.release(keyName)
	checkRefusal(t, err, refusal.Untrusted, "does not answer")
}

func TestUnwrapRefused(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(*testing.T, *vault)
		reason string
	}{
		"wrapped to another KEK": {func(t *testing.T, v *vault) { v.wrapTo = &newRSA(t, 2048).PublicKey }, "another KEK"},
		"wrapped to a larger":    {func(t *testing.T, v *vault) { v.wrapTo = &newRSA(t, 3072).PublicKey }, "another KEK"},
		"cut":                    {cipher(func(b []byte) []byte { return b[:len(b)-1] }), "length does not fit"},
		"nothing":                {cipher(func([]byte) []byte { return []byte{1} }), "length does not fit"},
		"altered":                {cipher(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), "altered"},
		"another key":            {func(t *testing.T, v *vault) { describedAs(t, v, newEC(t, elliptic.P256())) }, "does not belong"},
		"another RSA key":        {func(t *testing.T, v *vault) { v.key = newRSA(t, 2048); describedAs(t, v, newRSA(t, 2048)) }, "does not belong"},
		"another curve":          {func(t *testing.T, v *vault) { describedAs(t, v, newEC(t, elliptic.P384())) }, "does not belong"},
		"another type":           {func(t *testing.T, v *vault) { describedAs(t, v, newRSA(t, 2048)) }, "does not belong"},
		"not PKCS #8":            {func(t *testing.T, v *vault) { describedAs(t, v, v.key); v.key = make([]byte, 32) }, "malformed"},
		"oct of 65 bytes":        {func(_ *testing.T, v *vault) { v.key, v.kty = make([]byte, 65), "oct-HSM" }, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			c.set(t, v)
			wrapped, err := v.release(keyName)
			if err != nil {
				t.Fatal(err)
			}
			key, err := wrapped.Unwrap(testKEK().Decrypter(t.Context()))
			checkRefusal(t, err, refusal.Untrusted, c.reason)
			if key != nil {
				t.Error("a key was returned with the error")
			}
		})
	}
}

// TestForgedStatement checks that a bad signature is reported first, whatever else is
// wrong.
func TestForgedStatement(t *testing.T) {
	forge := func(text string) string { return text[:strings.LastIndex(text, ".")+1] + b64(strings.Repeat("x", 256)) }
	for name, set := range map[string]func(*testing.T, *vault, *release){
		"everything else is correct": func(*testing.T, *vault, *release) {},
		"for another KEK":            func(_ *testing.T, _ *vault, r *release) { r.keyHSM["ciphertext"] = b64(strings.Repeat("c", 300)) },
		"not what was requested":     func(_ *testing.T, _ *vault, r *release) { at(r.payload, "request")["enc"] = "other" },
		"malformed":                  func(_ *testing.T, _ *vault, r *release) { delete(r.payload, "response") },
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			v.spoil = func(r *release) { set(t, v, r); r.spoilText = forge }
			wrapped, err := v.release(keyName)
			checkRefusal(t, err, refusal.Untrusted, "not signed by the vault")
			if wrapped != nil {
				t.Error("a wrapped key was returned with the error")
			}
		})
	}
}

func cipher(change func([]byte) []byte) func(*testing.T, *vault) {
	return func(_ *testing.T, v *vault) {
		v.spoil = func(r *release) {
			r.keyHSM["ciphertext"] = b64(string(change([]byte(unb64(r.keyHSM["ciphertext"].(string))))))
		}
	}
}

// describedAs makes the statement describe a different key from the one it wraps.
func describedAs(t *testing.T, v *vault, key any) {
	t.Helper()
	described := &vault{t: t, key: key}
	v.spoil = func(r *release) {
		inner := at(r.payload, "response", "key", "key")
		for name, value := range described.describe() {
			inner[name] = value
		}
	}
}

func selfSigned(t *testing.T, v *vault) []*x509.Certificate {
	t.Helper()
	template := *v.leaf
	template.SignatureAlgorithm = x509.UnknownSignatureAlgorithm
	return []*x509.Certificate{sign(t, &template, &template, v.signer.Public(), v.signer)}
}

// signAcross makes a P-256 key sign with the hash and the width of ES384. The signing
// method itself would verify that.
func signAcross(t *testing.T, v *vault, r *release) {
	t.Helper()
	key := newEC(t, elliptic.P256())
	r.chain[0] = v.issuer.issue(t, key.Public(), nil)
	r.signer, r.method, r.header["alg"] = key, acrossCurves{jwt.SigningMethodES384}, "ES384"
	r.spoilText = func(text string) string {
		i := strings.LastIndex(text, ".")
		if err := jwt.SigningMethodES384.Verify(text[:i], []byte(unb64(text[i+1:])), key.Public()); err != nil {
			t.Errorf("this case proves nothing: %v", err)
		}
		return text
	}
}

type acrossCurves struct{ jwt.SigningMethod }

func (acrossCurves) Sign(input string, key any) ([]byte, error) {
	sum := sha512.Sum384([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 96)
	r.FillBytes(signature[:48])
	s.FillBytes(signature[48:])
	return signature, nil
}

// duplicateMember signs a payload that names its request twice.
func duplicateMember(t *testing.T, r *release) {
	t.Helper()
	r.spoilText = func(text string) string {
		parts := strings.Split(text, ".")
		payload := strings.Replace(unb64(parts[1]), `{"request"`, `{"request":{},"request"`, 1)
		input := parts[0] + "." + b64(payload)
		signature, err := r.method.Sign(input, r.signer)
		if err != nil {
			t.Error(err)
		}
		return input + "." + b64(string(signature))
	}
}

func b64(text string) string    { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
func b64std(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func unb64(text string) string {
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// flip replaces one character of base64url with another.
func flip(text string, i int) string {
	c := byte('A')
	if text[i] == c {
		c = 'B'
	}
	return text[:i] + string(c) + text[i+1:]
}

func FuzzParseStatement(f *testing.F) {
	f.Add(b64(`{"alg":"RS256","x5c":["AAAA"]}`) + "." +
		b64(`{"request":{"kid":"https://a.vault.azure.net/keys/a"},"response":{"key":{"key":{"kty":"oct"}}}}`) + ".AA")
	f.Add("..")
	f.Add(b64(`{"crit":null}`) + ".e30.AA")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseStatement(text)
		if err != nil {
			return
		}
		if rest := strings.SplitN(text, ".", 3); b64(string(s.object.Header)) != rest[0] || b64(string(s.object.Payload)) != rest[1] {
			t.Fatal("the parts differ from the text")
		}
		if err := s.verifySignature(KeyID{}.host, x509.NewCertPool(), clock); err == nil {
			t.Fatal("verified without roots")
		}
		_, _ = parsePayload(s.object.Payload)
	})
}

func FuzzParsePayload(f *testing.F) {
	f.Add([]byte(`{"request":{"enc":"RSA_AES_KEY_WRAP_256","kid":"https://v.vault.azure.net/keys/n","nonce":"a"},"response":{"key":{"key":{` +
		`"kid":"https://v.vault.azure.net/keys/n/0123456789abcdef0123456789abcdef","kty":"oct-HSM","key_ops":["sign"],"key_hsm":"` +
		b64(`{"schema_version":"1.0","header":{"alg":"dir","enc":"RSA_AES_KEY_WRAP_256"},"ciphertext":"AAAA"}`) + `"},"attributes":{"exportable":true}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := parsePayload(data)
		if err != nil {
			return
		}
		_ = p.validate(inquiry{})
		if _, err := p.wrappedKey().Unwrap(testKEK().Decrypter(t.Context())); err == nil {
			t.Fatal("unwrapped a key that was never wrapped")
		} else if !errors.Is(err, refusal.Untrusted) {
			t.Fatalf("got %v", err)
		}
	})
}

func FuzzParseKeyHSM(f *testing.F) {
	f.Add(b64(`{"schema_version":"1.0","header":{"kid":"k","alg":"dir","enc":"CKM_RSA_AES_KEY_WRAP"},"ciphertext":"AAAA"}`))
	f.Add("e30")
	f.Add(b64(`{"schema_version":null,"header":{"alg":null,"enc":""},"ciphertext":"AAAA"}`)) // without "dir"
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseKeyHSM(text)
		if err != nil {
			return
		}
		if len(k.ciphertext) == 0 {
			t.Fatal("accepted a key without a ciphertext")
		}
		if known := k.SchemaVersion == "1.0" && k.Header.Alg == "dir"; known != (k.unfamiliar() == "") {
			t.Fatalf("%+v is described as %q", k, k.unfamiliar())
		}
	})
}
