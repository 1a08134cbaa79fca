package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"skr/api"
	"skr/hsm"
	"skr/internal/jose/jwk"
	"skr/internal/keyuse"
	"skr/keyrelease"
)

// keptPipeline releases an RSA key, within a validity.
type keptPipeline struct {
	*pipeline

	rsa      *hsm.Key
	validity hsm.Validity
}

func (p *keptPipeline) Release(ctx context.Context, _ keyrelease.Request) (*hsm.Key, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	key := p.rsa.Clone()
	field := reflect.ValueOf(key).Elem().FieldByName("validity")
	*(*hsm.Validity)(unsafe.Pointer(field.UnsafeAddr())) = p.validity
	return key, nil
}

// newKeeper returns a server whose alias "orders" has the ops, and its pipeline.
func newKeeper(t *testing.T, ops []string, change func(*Config)) (*Server, *keptPipeline) {
	t.Helper()
	kept := &keptPipeline{pipeline: newPipeline(t), rsa: rsaKey(t)}
	return newServer(t, kept.pipeline, func(c *Config) {
		c.Releases = kept
		request := keyrelease.Request{}
		var err error
		if request.Authority, err = c.Authorities.Parse(goodValues["maa_endpoint"]); err != nil {
			t.Fatal(err)
		}
		if request.Key, err = c.Vaults.Parse(goodValues["akv_endpoint"], "demo"); err != nil {
			t.Fatal(err)
		}
		c.Aliases = map[string]keyrelease.Request{"orders": request}
		rights, err := keyuse.ParseRights(ops, 0)
		if err != nil {
			t.Fatal(err)
		}
		c.Rights = map[string]keyuse.Rights{"orders": rights}
		if change != nil {
			change(c)
		}
	}), kept
}

// operate sends a request and returns the status and the decoded answer.
func operate(t *testing.T, s *Server, route string, body any) (int, api.OperationResponse, string) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response := ask(t, s, newRequest("POST", route, string(text)))
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got api.OperationResponse
	if response.StatusCode == http.StatusOK {
		if err := json.Unmarshal(answer, &got); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode, got, string(answer)
}

func encode64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// TestOperations checks each route with a key that stays in the sidecar, one input and a batch.
func TestOperations(t *testing.T) {
	audited := &auditor{}
	s, _ := newKeeper(t, []string{"encrypt", "decrypt", "wrapKey", "unwrapkey", "sign", "verify"}, func(c *Config) { c.Auditor = audited })
	text, digest := encode64([]byte("sixteen bytes...")), sha256.Sum256([]byte("text"))
	for _, pair := range [][2]string{{api.RouteEncrypt, api.RouteDecrypt}, {api.RouteWrap, api.RouteUnwrap}} {
		_, sealed, _ := operate(t, s, pair[0], map[string]any{"alias": "orders", "alg": "RSA-OAEP-256", "value": text})
		if sealed.KID != keyID || sealed.Alg != "RSA-OAEP-256" {
			t.Fatalf("%s: got %+v", pair[0], sealed)
		}
		status, opened, answer := operate(t, s, pair[1], map[string]any{"alias": "orders", "alg": "RSA-OAEP-256", "value": sealed.Value})
		if status != http.StatusOK || string(opened.Value) != `"`+text+`"` {
			t.Errorf("%s: %d %s", pair[1], status, answer)
		}
		batch := map[string]any{"alias": "orders", "alg": "RSA-OAEP-256", "batch": []any{
			map[string]any{"value": sealed.Value}, map[string]any{"value": "AAAA"}, map[string]any{"value": sealed.Value},
		}}
		status, opened, answer = operate(t, s, pair[1], batch)
		if status != http.StatusOK || len(opened.Results) != 3 || string(opened.Results[2].Value) != `"`+text+`"` ||
			!strings.Contains(opened.Results[1].Error, "does not open with this key") || opened.Results[1].Value != nil {
			t.Errorf("batch: %d %s", status, answer)
		}
	}
	_, signed, _ := operate(t, s, api.RouteSign, map[string]any{"alias": "orders", "alg": "PS256", "value": encode64(digest[:])})
	for _, c := range []struct {
		digest []byte
		want   string
	}{{digest[:], "true"}, {make([]byte, 32), "false"}} {
		_, got, answer := operate(t, s, api.RouteVerify, map[string]any{"alias": "orders", "alg": "PS256", "value": signed.Value, "digest": encode64(c.digest)})
		if string(got.Value) != c.want {
			t.Errorf("verify: %s, want %s", answer, c.want)
		}
	}
	if len(audited.uses) != 9 || audited.uses[2].Count != 3 || audited.uses[2].Failed != 1 || audited.uses[2].Operation != keyuse.Decrypt {
		t.Errorf("audited %+v", audited.uses)
	}
	audited.fail = errors.New("the disk is full")
	if status, _, answer := operate(t, s, api.RouteSign, map[string]any{"alias": "orders", "alg": "PS256", "value": encode64(digest[:])}); status != 500 {
		t.Errorf("without a record: %d %s", status, answer)
	}
}

// TestPublic checks that the public part is that of the key, and no more.
func TestPublic(t *testing.T) {
	s, kept := newKeeper(t, []string{"sign"}, nil)
	response := ask(t, s, newRequest("POST", api.RoutePublic, `{"alias":"orders"}`))
	got := readJSON[api.PublicResponse](t, response)
	public, err := jwk.Parse(got.Key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := kept.rsa.JWK()
	if err != nil {
		t.Fatal(err)
	}
	want, err := jwk.Parse(private)
	if err != nil {
		t.Fatal(err)
	}
	if public.N != want.N || public.Kid != keyID || public.Kty != "RSA" || public.D+public.P+public.Q+public.DP+public.DQ+public.QI+public.K != "" {
		t.Errorf("got %s", got.Key)
	}
}

// TestKeptKeyIsNotGivenOut tries every route for the private part of a key whose alias has no
// right "release", by every name of the key.
func TestKeptKeyIsNotGivenOut(t *testing.T) {
	var log bytes.Buffer
	s, kept := newKeeper(t, []string{"decrypt", "sign"}, func(c *Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	text, err := kept.rsa.JWK()
	if err != nil {
		t.Fatal(err)
	}
	private, err := jwk.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	names := `"maa_endpoint":"contoso.eus.attest.azure.net","akv_endpoint":"contoso.vault.azure.net"`
	attempts := map[string]string{
		`{"alias":"orders"}`:                                            api.RouteRelease,
		`{` + names + `,"kid":"demo"}`:                                  api.RouteRelease,
		`{` + names + `,"kid":"DEMO"}`:                                  api.RouteRelease,
		`{` + names + `,"kid":"demo/0123456789abcdef0123456789abcdef"}`: api.RouteRelease,
		`{` + names + `,"kid":"demo","access_token":"e30.e30.c2ln"}`:    api.RouteRelease,
		`{"maa_endpoint":"sharedeus.eus.attest.azure.net","akv_endpoint":"contoso.vault.azure.net","kid":"demo"}`: api.RouteRelease,
		`{"alias":"orders","alg":"RSA-OAEP","value":"AAAA"}`:                                                      api.RouteUnwrap,
		`{"alias":"orders","alg":"RSA-OAEP","value":"AAEC"}`:                                                      api.RouteEncrypt,
		`{"runtime_data":"` + strings.Repeat("AAAA", 30) + `"}`:                                                   api.RouteRaw,
		`{"runtime_data":"` + strings.Repeat("BBBB", 30) + `"}`:                                                   api.RouteCombined,
		`{"maa_endpoint":"contoso.eus.attest.azure.net","runtime_data":"` + strings.Repeat("CCCC", 30) + `"}`:     api.RouteMAA,
	}
	for body, route := range attempts {
		response := ask(t, s, newRequest("POST", route, body))
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusForbidden || !bytes.Contains(answer, []byte(api.CallerNotAllowed)) {
			t.Errorf("%s %s: %d %s", route, body, response.StatusCode, answer)
		}
	}
	for _, route := range api.Routes() {
		response := ask(t, s, newRequest("POST", route, `{"alias":"orders","alg":"RSA-OAEP","value":"AAAA"}`))
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(answer, []byte(private.D)) || bytes.Contains(answer, []byte(private.P)) {
			t.Errorf("%s gives the private part", route)
		}
	}
	tryMethods(t, s, private)
	if strings.Contains(log.String(), private.D) || strings.Contains(log.String(), private.P) {
		t.Error("the log has the private part")
	}
}

// TestReleaseRightElsewhere checks that another alias with the right gives the key out, and
// that an alias without ops does.
func TestReleaseRightElsewhere(t *testing.T) {
	for ops, status := range map[string]int{"": 200, "release": 200, "decrypt release": 200, "decrypt": 403} {
		s, _ := newKeeper(t, strings.Fields(ops), nil)
		names := `{"maa_endpoint":"contoso.eus.attest.azure.net","akv_endpoint":"contoso.vault.azure.net","kid":"demo"}`
		for _, body := range []string{`{"alias":"orders"}`, names} {
			if got := ask(t, s, newRequest("POST", api.RouteRelease, body)); got.StatusCode != status {
				t.Errorf("ops %q, %s: %d, want %d", ops, body, got.StatusCode, status)
			}
		}
	}
}

// TestReleaseRightOfAnotherVersion checks that an alias that gives the newest version does not
// give out a version that another alias keeps.
func TestReleaseRightOfAnotherVersion(t *testing.T) {
	const kept = "0123456789abcdef0123456789abcdef"
	s, _ := newKeeper(t, []string{"decrypt"}, func(c *Config) {
		c.Aliases["newest"] = c.Aliases["orders"]
		c.Aliases["orders"] = c.Aliases["orders"].OfVersions(hsm.OnlyVersion(kept))
	})
	for kid, status := range map[string]int{"demo": 200, "demo/" + kept: 403} {
		body := `{"maa_endpoint":"contoso.eus.attest.azure.net","akv_endpoint":"contoso.vault.azure.net","kid":"` + kid + `"}`
		if got := ask(t, s, newRequest("POST", api.RouteRelease, body)); got.StatusCode != status {
			t.Errorf("%s: %d, want %d", kid, got.StatusCode, status)
		}
	}
}

// TestOperationRequests checks that wrong requests have one clear error.
func TestOperationRequests(t *testing.T) {
	s, _ := newKeeper(t, nil, nil)
	for body, want := range map[string]string{
		`{"alg":"RSA-OAEP","value":"AAAA"}`:                                                                              `member \"alias\" is missing`,
		`{"alias":"orders","value":"AAAA"}`:                                                                              `member \"alg\" is missing`,
		`{"alias":"other","alg":"RSA-OAEP","value":"AAAA"}`:                                                              "names none of the keys",
		`{"alias":"orders","alg":"RSA-OAEP","value":"AA=="}`:                                                             "is not base64url without padding",
		`{"alias":"orders","alg":"RSA-OAEP","value":"AAAA","batch":[{"value":"AAAA"}]}`:                                  "leave the members of a single one out",
		`{"alias":"orders","alg":"RSA-OAEP","batch":[]}`:                                                                 "must have 1 to 100 inputs",
		`{"alias":"orders","alg":"RSA-OAEP","batch":[` + strings.Repeat(`{"value":"AAAA"},`, 100) + `{"value":"AAAA"}]}`: "must have 1 to 100 inputs",
		`{"alias":"orders","alg":"RSA-OAEP","batch":[{"value":"AAAA"},{"value":"A"}]}`:                                   `entry 2 of member \"batch\":`,
		`{"alias":"orders","alg":"RSA-OAEP","batch":[` + strings.Repeat(`null,`, maxList) + `null]}`:                     `has more than 1000 entries`,
		`{"alias":"orders","alg":"RSA-OAEP","batch":"AAAA"}`:                                                             "is not a list",
		`{"alias":"orders","alg":"RSA-OAEP","batch":["AAAA"]}`:                                                           `entry 1 of member \"batch\": is not`,
		`{"alias":"orders","alg":"RSA-OAEP","batch":[{"value":"AAAA"},{"alias":"other"}]}`:                               `\"batch\": member \"alias\"`,
		`{"alias":"orders","alg":"RSA-OAEP","batch":[{"value":"AAAA","value":"AAAA"}]}`:                                  "has a member twice",
		`{"alias":"orders","alg":"none","value":"AAAA"}`:                                                                 "is no algorithm that this key has",
		`{"alias":"orders","alg":"RSA\u0022","value":"AAAA"}`:                                                            "is no algorithm that this key has",
		`{"alias":"orders","alg":"RSA1_5","value":"AAAA"}`:                                                               "is no algorithm that this key has",
		`{"alias":"orders","alg":"RSA-OAEP","value":"AAAA","version":"../x"}`:                                            "version",
		`{"alias":"orders","alg":"RSA-OAEP","value":"AAAA","akv_endpoint":"contoso.vault.azure.net"}`:                    `member \"akv_endpoint\" is unknown`,
	} {
		response := ask(t, s, newRequest("POST", api.RouteDecrypt, body))
		answer, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusBadRequest || !strings.Contains(string(answer), want) {
			t.Errorf("%.100s: %d %s, want %s", body, response.StatusCode, answer, want)
		}
	}
}

// TestValidity checks which operations the validity of the key bounds.
func TestValidity(t *testing.T) {
	s, kept := newKeeper(t, nil, nil)
	kept.validity = hsm.Validity{Expires: time.Now().Add(-time.Hour)}
	_, sealed, _ := operate(t, s, api.RouteEncrypt, map[string]any{"alias": "orders", "alg": "RSA-OAEP", "value": "AAAA"})
	if sealed.Value != nil {
		t.Error("an expired key encrypts")
	}
	digest := make([]byte, 32)
	for route, status := range map[string]int{
		api.RouteEncrypt: 403, api.RouteWrap: 403, api.RouteSign: 403, api.RouteDecrypt: 400, api.RouteUnwrap: 400, api.RouteVerify: 200,
	} {
		body := map[string]any{"alias": "orders", "alg": "RSA-OAEP", "value": encode64(digest)}
		if route == api.RouteSign || route == api.RouteVerify {
			body["alg"] = "RS256"
		}
		if route == api.RouteVerify {
			body["digest"] = encode64(digest)
		}
		if got, _, answer := operate(t, s, route, body); got != status {
			t.Errorf("%s: %d %s, want %d", route, got, answer, status)
		}
	}
}
