package maa

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"skr/internal/jose/jwk"
	"skr/internal/refusal"
	"skr/test/rsakey"
)

func TestAppraise(t *testing.T) {
	for name, arrange := range map[string]func(*testing.T, *service){
		"certificate":         func(*testing.T, *service) {},
		"modulus":             func(t *testing.T, s *service) { s.keys = []jwk.Key{plain(t, keyName, &rsaKeys()[0].PublicKey)} },
		"both":                func(t *testing.T, s *service) { s.keys = []jwk.Key{both(t, rsaKeys()[0], rsaKeys()[0])} },
		"no discovery":        func(_ *testing.T, s *service) { s.intercepts[discoveryPath] = http.NotFound },
		"RS384":               func(_ *testing.T, s *service) { s.method = jwt.SigningMethodRS384; s.keys[1].Alg = "" },
		"nonce as a number":   func(_ *testing.T, s *service) { s.spoil = func(c map[string]any) { c["nonce"] = s.received.Nonce } },
		"a minute after exp":  func(_ *testing.T, s *service) { s.spoil = times(-60, -60, -59) },
		"a minute before nbf": func(_ *testing.T, s *service) { s.spoil = times(60, 60, 60) },
		"query in jwks_uri": func(_ *testing.T, s *service) {
			s.discovery = func() any { return map[string]any{"jwks_uri": s.authority.Issuer() + "/certs?api-version=1"} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			arrange(t, s)
			result, err := s.client.Appraise(t.Context(), s.authority, newEvidence(t, runtimeData))
			if err != nil {
				t.Fatal(err)
			}
			if kid, _ := result.Claims.Lookup("x-ms-runtime.svn"); kid != json.Number("9007199254740993") {
				t.Errorf("the number in the runtime claims is %v", kid)
			}
			if strings.Count(result.Token.Reveal(), ".") != 2 {
				t.Error("the result lacks the token")
			}
		})
	}
}

func times(iat, nbf, exp int64) func(map[string]any) {
	return func(c map[string]any) { c["iat"], c["nbf"], c["exp"] = now.Unix()+iat, now.Unix()+nbf, now.Unix()+exp }
}

func both(t *testing.T, number, certificate *rsa.PrivateKey) jwk.Key {
	key := plain(t, keyName, &number.PublicKey)
	key.X5c = certified(t, keyName, certificate).X5c
	return key
}

func TestAppraiseResult(t *testing.T) {
	s := newService(t)
	result, err := s.client.Appraise(t.Context(), s.authority, newEvidence(t, runtimeData))
	if err != nil {
		t.Fatal(err)
	}
	if !result.Expires.Equal(now.Add(8 * time.Hour)) {
		t.Errorf("expires %s", result.Expires)
	}
	if got := s.query.Encode(); got != "api-version=2022-08-01" {
		t.Errorf("query %q", got)
	}
	if s.header.Get("Content-Type") != "application/json" || s.header.Get("User-Agent") != "test/1.0" {
		t.Errorf("header %v", s.header)
	}
}

// iat only describes a token: exp and nbf decide whether it is valid.
func TestIssueTimeIsIgnored(t *testing.T) {
	for name, spoil := range map[string]func(map[string]any){
		"in the future": times(3600, 0, 28800),
		"none":          set("iat", nil),
		"a text":        set("iat", "today"),
	} {
		s := newService(t)
		s.spoil = spoil
		if _, err := s.client.Appraise(t.Context(), s.authority, newEvidence(t, runtimeData)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// tokenRefusals each change one thing in the token.
var tokenRefusals = map[string]struct {
	arrange func(*testing.T, *service)
	want    string
}{
	"alg none": {func(_ *testing.T, s *service) {
		s.method, s.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType
	}, "algorithm or key cannot be used"},
	"HS256 with the public key as the secret": {func(_ *testing.T, s *service) {
		s.method, s.key = jwt.SigningMethodHS256, publicPEM(&rsaKeys()[0].PublicKey)
	}, "algorithm or key cannot be used"},
	"ES256": {func(_ *testing.T, s *service) {
		s.method = jwt.SigningMethodES256
		s.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}, "algorithm or key cannot be used"},
	"PS256": {func(_ *testing.T, s *service) { s.method = jwt.SigningMethodPS256; s.keys[1].Alg = "" },
		"algorithm or key cannot be used"},
	"signed by another key": {func(_ *testing.T, s *service) { s.key = rsaKeys()[1] }, "signature does not verify"},
	"PS256 declared as RS256": {func(_ *testing.T, s *service) { s.method = jwt.SigningMethodPS256; head(s, "alg", "RS256") },
		"signature does not verify"},
	"unknown alg":                       {func(_ *testing.T, s *service) { head(s, "alg", "RS1") }, "algorithm or key cannot be used"},
	"no alg":                            {func(_ *testing.T, s *service) { head(s, "alg", nil) }, "algorithm or key cannot be used"},
	"unknown kid":                       {func(_ *testing.T, s *service) { head(s, "kid", "other") }, "does not publish the key"},
	"kid of an unusable key":            {func(_ *testing.T, s *service) { head(s, "kid", "unrelated") }, "cannot be used"},
	"no kid":                            {func(_ *testing.T, s *service) { head(s, "kid", nil) }, "names no signing key"},
	"kid is a number":                   {func(_ *testing.T, s *service) { head(s, "kid", 1) }, "token is malformed"},
	"long kid":                          {func(_ *testing.T, s *service) { head(s, "kid", strings.Repeat("k", maxKeyID+1)) }, "names no signing key"},
	"critical extension":                {func(_ *testing.T, s *service) { head(s, "crit", []string{"b64"}) }, "token is malformed"},
	"another issuer":                    {claim("iss", "https://other.attest.localhost"), "issued by another authority"},
	"issuer with a slash":               {func(_ *testing.T, s *service) { s.spoil = set("iss", s.authority.Issuer()+"/") }, "issued by another authority"},
	"no issuer":                         {claim("iss", nil), "lacks a required claim"},
	"expired":                           {func(_ *testing.T, s *service) { s.spoil = times(-28861, -28861, -60) }, "has expired"},
	"not valid yet":                     {func(_ *testing.T, s *service) { s.spoil = times(0, 61, 28800) }, "not valid yet"},
	"no exp":                            {claim("exp", nil), "lacks a required claim"},
	"exp is a string":                   {claim("exp", "tomorrow"), "does not verify"},
	"another nonce":                     {claim("nonce", "7394904505194784658"), "does not carry our nonce"},
	"no nonce":                          {claim("nonce", nil), "does not carry our nonce"},
	"another kind":                      {claim("x-ms-attestation-type", "sgx"), "not about an SEV-SNP machine"},
	"no runtime data":                   {claim("x-ms-runtime", nil), "does not carry our runtime data"},
	"another KEK":                       {func(_ *testing.T, s *service) { s.spoil = otherKEK }, "does not carry our runtime data"},
	"runtime data with an extra member": {func(_ *testing.T, s *service) { s.spoil = moreRuntime }, "does not carry our runtime data"},
	"another report":                    {claim("x-ms-sevsnpvm-reportdata", strings.Repeat("0", 128)), "about another report"},
	"report is not a string":            {claim("x-ms-sevsnpvm-reportdata", 1), "about another report"},
	"member twice": {func(_ *testing.T, s *service) {
		s.payload = func(p []byte) []byte { return append(p[:len(p)-1], `,"nonce":"1"}`...) }
	}, "claims are malformed"},
	"data after the claims": {func(_ *testing.T, s *service) {
		s.payload = func(p []byte) []byte { return append(p, `{}`...) }
	}, "claims are malformed"},
	"stray bits after the signature": {func(_ *testing.T, s *service) {
		s.respell = func(token string) string { return token[:len(token)-1] + string(token[len(token)-1]+1) }
	}, "token is malformed"},
	"padded base64": {func(_ *testing.T, s *service) {
		s.respell = func(token string) string { return token + "==" }
	}, "token is malformed"},
	"claims are not JSON": {func(_ *testing.T, s *service) {
		s.payload = func([]byte) []byte { return []byte(`claims`) }
	}, "claims are malformed"},
	"oversized token": {func(_ *testing.T, s *service) {
		s.spoil = set("padding", strings.Repeat("x", maxToken))
	}, "more than 524288 characters"},
	"key and certificate disagree": {func(t *testing.T, s *service) {
		s.keys = []jwk.Key{both(t, rsaKeys()[0], rsaKeys()[1])}
	}, "cannot be used"},
	"certificate of an EC key": {func(t *testing.T, s *service) {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		s.keys = []jwk.Key{certified(t, keyName, key)}
	}, "cannot be used"},
	"key for encryption":        {func(_ *testing.T, s *service) { s.keys[1].Use = "enc" }, "cannot be used"},
	"key for another algorithm": {func(_ *testing.T, s *service) { s.keys[1].Alg = "RS512" }, "cannot be used"},
	"key of a vault's type":     {func(_ *testing.T, s *service) { s.keys[1].Kty = "RSA-HSM" }, "cannot be used"},
	"short key": {func(t *testing.T, s *service) {
		key, err := rsakey.Generate(1024)
		if err != nil {
			t.Fatal(err)
		}
		s.key, s.keys = key, []jwk.Key{certified(t, keyName, key)}
	}, "cannot be used"},
}

func claim(name string, value any) func(*testing.T, *service) {
	return func(_ *testing.T, s *service) { s.spoil = set(name, value) }
}

func set(name string, value any) func(map[string]any) {
	return func(members map[string]any) {
		members[name] = value
		if value == nil {
			delete(members, name)
		}
	}
}

func head(s *service, name string, value any) { s.spoilHead = set(name, value) }

func otherKEK(claims map[string]any) {
	claims["x-ms-runtime"].(map[string]any)["keys"].([]any)[0].(map[string]any)["n"] = "AQAC"
}

func moreRuntime(claims map[string]any) { claims["x-ms-runtime"].(map[string]any)["more"] = true }

func publicPEM(key *rsa.PublicKey) []byte {
	der, _ := x509.MarshalPKIXPublicKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestTokenRefusals(t *testing.T) {
	for name, c := range tokenRefusals {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			c.arrange(t, s)
			refuses(t, s, refusal.Untrusted, c.want)
		})
	}
}

func refuses(t *testing.T, s *service, kind *refusal.Kind, want string) {
	t.Helper()
	result, err := s.client.Appraise(t.Context(), s.authority, newEvidence(t, runtimeData))
	refused, ok := errors.AsType[*refusal.Error](err)
	if result != nil || !ok || refused.Kind != kind || !strings.Contains(refused.Public(), want) {
		t.Errorf("got %v, %v; want %q: … %q", result, err, kind, want)
	}
}

// answerRefusals each replace one answer.
var answerRefusals = map[string]struct {
	path, body string
	status     int
	kind       *refusal.Kind
	want       string
}{
	"malformed evidence": {"/attest/SevSnpVm", `{"error":{"code":"InvalidParameter","message":"secret detail"}}`, 400,
		refusal.AttestationRejected, "(InvalidParameter): it found the evidence malformed"},
	"policy": {"/attest/SevSnpVm", `{"error":{"code":"PolicyEvaluationError","message":"secret detail"}}`, 400,
		refusal.AttestationRejected, "(PolicyEvaluationError): its attestation policy denies"},
	"unknown code": {"/attest/SevSnpVm", `{"error":{"code":"secret detail","message":"secret detail"}}`, 400,
		refusal.AttestationRejected, "log has the service's message"},
	"400 without a body":  {"/attest/SevSnpVm", ``, 400, refusal.AttestationRejected, "refused the evidence"},
	"401":                 {"/attest/SevSnpVm", `{"error":"secret detail"}`, 401, refusal.AttestationRejected, "asks for credentials"},
	"403":                 {"/attest/SevSnpVm", `<html>secret detail</html>`, 403, refusal.AttestationRejected, "network rules"},
	"404":                 {"/attest/SevSnpVm", ``, 404, refusal.Untrusted, "status 404"},
	"202":                 {"/attest/SevSnpVm", `{"token":"a.b.c"}`, 202, refusal.Untrusted, "status 202"},
	"redirect":            {"/attest/SevSnpVm", ``, 307, refusal.Untrusted, "redirect"},
	"throttled":           {"/attest/SevSnpVm", ``, 429, refusal.Throttled, ""},
	"failing":             {"/attest/SevSnpVm", ``, 500, refusal.Unavailable, ""},
	"not JSON":            {"/attest/SevSnpVm", `token`, 200, refusal.Untrusted, "not JSON"},
	"no token":            {"/attest/SevSnpVm", `{}`, 200, refusal.Untrusted, "no token"},
	"empty token":         {"/attest/SevSnpVm", `{"token":""}`, 200, refusal.Untrusted, "no token"},
	"token of two parts":  {"/attest/SevSnpVm", `{"token":"a.b"}`, 200, refusal.Untrusted, "token is malformed"},
	"token of four parts": {"/attest/SevSnpVm", `{"token":"a.b.c.d"}`, 200, refusal.Untrusted, "token is malformed"},
	"oversized answer":    {"/attest/SevSnpVm", strings.Repeat("x", 2<<20), 200, refusal.Untrusted, "bytes"},

	"discovery is not JSON":  {discoveryPath, `x`, 200, refusal.Untrusted, "discovery document"},
	"discovery without keys": {discoveryPath, `{}`, 200, refusal.Untrusted, "discovery document"},
	"discovery twice":        {discoveryPath, `{"jwks_uri":"https://a","jwks_uri":"https://a"}`, 200, refusal.Untrusted, "discovery document"},
	"discovery forbidden":    {discoveryPath, ``, 403, refusal.Untrusted, "status 403"},
	"discovery redirects":    {discoveryPath, ``, 302, refusal.Untrusted, "redirect"},
	"discovery failing":      {discoveryPath, ``, 503, refusal.Unavailable, ""},
	"keys are not JSON":      {keysPath, `x`, 200, refusal.Untrusted, "signing keys are malformed"},
	"keys not found":         {keysPath, ``, 404, refusal.Untrusted, "status 404"},
	"keys redirect":          {keysPath, ``, 301, refusal.Untrusted, "redirect"},
	"keys oversized":         {keysPath, strings.Repeat(" ", 2<<20), 200, refusal.Untrusted, "bytes"},
	"no usable key":          {keysPath, `{"keys":[{"kid":"` + keyName + `","kty":"RSA"}]}`, 200, refusal.Untrusted, "cannot be used"},
}

func TestAnswerRefusals(t *testing.T) {
	for name, c := range answerRefusals {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.intercepts[c.path] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", s.authority.Issuer()+keysPath+"?elsewhere")
				w.WriteHeader(c.status)
				_, _ = fmt.Fprint(w, c.body)
			}
			refuses(t, s, c.kind, c.want)
			_, err := s.client.Appraise(t.Context(), s.authority, newEvidence(t, runtimeData))
			if refused, ok := errors.AsType[*refusal.Error](err); !ok || strings.Contains(refused.Public(), "secret") {
				t.Errorf("the public error is %v", err)
			}
		})
	}
}

// TestJWKSElsewhere serves discovery documents that point to another host.
func TestJWKSElsewhere(t *testing.T) {
	s := newService(t)
	_, port, _ := strings.Cut(s.authority.String(), ":")
	for _, address := range []string{
		"https://other.attest.localhost:" + port + "/certs", "https://maa.attest.localhost/certs", "https://maa.attest.localhost:1/certs",
		"http://maa.attest.localhost:" + port + "/certs", "https://user@maa.attest.localhost:" + port + "/certs",
		"//maa.attest.localhost:" + port + "/certs", "/certs", "https:/certs", "https:maa", "", "%", "https://maa.attest.localhost:" + port + "/certs#f",
	} {
		s.discovery = func() any { return map[string]any{"jwks_uri": address} }
		before := s.requests.Load()
		refuses(t, s, refusal.Untrusted, "discovery document cannot be used")
		if got := s.requests.Load() - before; got != 2 {
			t.Errorf("%q: %d requests, want one for the token and one for the document", address, got)
		}
	}
}

// TestForeignKeyPlaces forges a token that carries its own keys.
func TestForeignKeyPlaces(t *testing.T) {
	var visits int
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		visits++
		_ = json.NewEncoder(w).Encode(jwk.Set{Keys: []jwk.Key{plain(t, keyName, &rsaKeys()[1].PublicKey)}})
	}))
	t.Cleanup(elsewhere.Close)
	s := newService(t)
	s.key = rsaKeys()[1]
	s.spoilHead = func(head map[string]any) {
		head["jku"], head["x5u"] = elsewhere.URL+"/certs", elsewhere.URL+"/certs"
		head["jwk"] = plain(t, keyName, &rsaKeys()[1].PublicKey)
		head["x5c"] = certified(t, keyName, rsaKeys()[1]).X5c
	}
	refuses(t, s, refusal.Untrusted, "signature does not verify")
	if visits != 0 {
		t.Error("the token's jku or x5u was followed")
	}
}

// TestForgedAlgorithms checks tokens that are refused before any key lookup.
func TestForgedAlgorithms(t *testing.T) {
	for name, arrange := range map[string]func(*service){
		"none":  func(s *service) { s.method, s.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType },
		"HS256": func(s *service) { s.method, s.key = jwt.SigningMethodHS256, publicPEM(&rsaKeys()[0].PublicKey) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			arrange(s)
			refuses(t, s, refusal.Untrusted, "algorithm or key cannot be used")
			if got := s.requests.Load(); got > 3 {
				t.Errorf("%d requests, want one for the token and at most two for keys", got)
			}
		})
	}
}

func TestRuntimeDataMustBeJSON(t *testing.T) {
	s := newService(t)
	for _, text := range []string{"", "text", "[]", `"a"`, `{} {}`, `{"a":1,"a":2`, `{"a":1,"a":2}{}`, `[{"a":1,"a":2}]`, `{"a":1,"a":}`} {
		_, err := s.client.Appraise(t.Context(), s.authority, newEvidence(t, text))
		if !errors.Is(err, refusal.BadRequest) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if s.requests.Load() != 0 {
		t.Error("a request was sent")
	}
}

// TestRepeatedRuntimeData checks runtime data with a duplicate member. The authority
// decides which value the token has, so the report data must match the exact bytes.
func TestRepeatedRuntimeData(t *testing.T) {
	const twice = `{"a":1,"a":2}`
	for name, c := range map[string]struct {
		spoil func(map[string]any)
		kind  error
	}{
		"last wins":      {func(map[string]any) {}, nil},
		"first wins":     {func(c map[string]any) { c[claimRuntime] = map[string]any{"a": 1} }, nil},
		"none wins":      {func(c map[string]any) { delete(c, claimRuntime) }, refusal.Untrusted},
		"another report": {func(c map[string]any) { c[claimReportData] = strings.Repeat("0", 128) }, refusal.Untrusted},
		"no report":      {func(c map[string]any) { delete(c, claimReportData) }, refusal.Untrusted},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.spoil = c.spoil
			if _, err := s.client.Appraise(t.Context(), s.authority, newEvidence(t, twice)); !errors.Is(err, c.kind) {
				t.Errorf("%v, want %v", err, c.kind)
			}
		})
	}
}

// TestLongRuntimeData uses the longest runtime data that a request of the local API can carry.
func TestLongRuntimeData(t *testing.T) {
	s := newService(t)
	text := `{"a":"` + strings.Repeat("x", 190<<10) + `"}`
	if _, err := s.client.Appraise(t.Context(), s.authority, newEvidence(t, text)); err != nil {
		t.Error(err)
	}
}

// TestNoncesDiffer sends two requests with the same evidence.
func TestNoncesDiffer(t *testing.T) {
	s, evidence := newService(t), newEvidence(t, runtimeData)
	seen := map[uint64]bool{}
	for range 3 {
		if _, err := s.client.Appraise(t.Context(), s.authority, evidence); err != nil {
			t.Fatal(err)
		}
		seen[s.received.Nonce] = true
	}
	if len(seen) != 3 || seen[0] {
		t.Errorf("nonces %v", seen)
	}
	if got := s.requests.Load(); got != 5 {
		t.Errorf("%d requests, want 3 for tokens and 2 for keys", got)
	}
}

func TestAppraiseEnded(t *testing.T) {
	s := newService(t)
	passed, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if _, err := s.client.Appraise(passed, s.authority, newEvidence(t, runtimeData)); !errors.Is(err, refusal.Timeout) {
		t.Errorf("after the deadline: %v", err)
	}
}

// TestReplayedToken answers with a valid token of the previous request.
func TestReplayedToken(t *testing.T) {
	s, evidence := newService(t), newEvidence(t, runtimeData)
	first, err := s.client.Appraise(t.Context(), s.authority, evidence)
	if err != nil {
		t.Fatal(err)
	}
	s.intercepts["/attest/SevSnpVm"] = func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"token": first.Token.Reveal()})
	}
	refuses(t, s, refusal.Untrusted, "does not carry our nonce")
}
