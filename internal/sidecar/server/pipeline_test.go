package server

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"skr/api"
	"skr/attest"
	"skr/attest/snp"
	"skr/attest/vcek"
	"skr/hsm"
	"skr/internal/secmem"
	"skr/keyrelease"
	"skr/test/snptest"
)

const (
	tokenText = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ0ZXN0In0.c2ln"
	jwkText   = `{"kty":"oct","k":"c2VjcmV0LWtleQ"}`
	keyID     = "https://contoso.vault.azure.net/keys/demo/1"
	uvmText   = "0oRZ"
)

// pipeline replaces the server's dependencies in memory. It has real reports and a real
// chain of emulated silicon, unless fail is set.
type pipeline struct {
	chip *snptest.Chip
	// fail, if set, is called first by each step.
	fail func(ctx context.Context) error
	// request is the last request to Release; key is its result.
	request keyrelease.Request
	key     *hsm.Key
	// platform is what the machine is; 0 means that the chip reports directly.
	platform attest.Platform
}

var chip = sync.OnceValues(func() (*snptest.Chip, error) {
	vendor, err := snptest.NewVendor(snp.Genoa, time.Now())
	if err != nil {
		return nil, err
	}
	c, err := vendor.NewChip()
	if err != nil {
		return nil, err
	}
	// The hex digits of this TCB include letters, so that their case is visible.
	c.SetTCB(snp.Components{Bootloader: 0x0A, TEE: 0, SNP: 0x1B, Microcode: 0xDB})
	return c, nil
})

func newPipeline(t testing.TB) *pipeline {
	t.Helper()
	c, err := chip()
	if err != nil {
		t.Fatal(err)
	}
	return &pipeline{chip: c}
}

func (p *pipeline) begin(ctx context.Context) error {
	if p.fail == nil {
		return nil
	}
	return p.fail(ctx)
}

func (p *pipeline) Report(ctx context.Context, data []byte) (*attest.Evidence, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	raw, err := p.chip.Report(snp.Bind(data), snptest.Options{})
	if err != nil {
		return nil, err
	}
	report, err := snp.Parse(raw)
	return &attest.Evidence{Report: report, RuntimeData: data}, err
}

func (p *pipeline) Verbatim(ctx context.Context, data []byte) (*attest.Evidence, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	var bound snp.ReportData
	copy(bound[:], data)
	raw, err := p.chip.Report(bound, snptest.Options{})
	if err != nil {
		return nil, err
	}
	report, err := snp.Parse(raw)
	if err != nil {
		return nil, err
	}
	text, err := p.chip.ChainPEM(report.ReportedTCB())
	if err != nil {
		return nil, err
	}
	chain, err := vcek.ParsePEM(text)
	return &attest.Evidence{Report: report, Chain: chain}, err
}

func (p *pipeline) Platform(context.Context) (attest.Platform, error) {
	return cmp.Or(p.platform, attest.Direct), nil
}

func (p *pipeline) Evidence(ctx context.Context, data []byte) (*attest.Evidence, error) {
	evidence, err := p.Report(ctx, data)
	if err != nil {
		return nil, err
	}
	text, err := p.chip.ChainPEM(evidence.Report.ReportedTCB())
	if err != nil {
		return nil, err
	}
	evidence.Chain, err = vcek.ParsePEM(text)
	return evidence, err
}

func (p *pipeline) Token(ctx context.Context, _ attest.Authority, _ []byte) (*attest.Result, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	return &attest.Result{Token: secmem.NewText(tokenText)}, nil
}

func (p *pipeline) Release(ctx context.Context, r keyrelease.Request) (*hsm.Key, error) {
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	p.request, p.key = r, newKey(jwkText)
	return p.key, nil
}

// newKey sets the private fields of a key. Otherwise only a vault's verified statement can
// make one.
func newKey(jwk string) *hsm.Key {
	key := &hsm.Key{}
	field := func(name string) unsafe.Pointer {
		return unsafe.Pointer(reflect.ValueOf(key).Elem().FieldByName(name).UnsafeAddr())
	}
	*(**secmem.Buffer)(field("held")) = secmem.Hold([]byte(jwk))
	*(*string)(field("id")) = keyID
	return key
}

func newServer(t testing.TB, p *pipeline, change func(*Config)) *Server {
	t.Helper()
	authorities, err := attest.ParseAuthorities(attest.DefaultAuthorities())
	if err != nil {
		t.Fatal(err)
	}
	vaults, err := hsm.ParseVaults(hsm.DefaultVaults())
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Evidence: p, Tokens: p, Releases: p, Authorities: authorities, Vaults: vaults, UVMEndorsements: uvmText}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// logTo returns a logger and its output.
func logTo(c *Config) *bytes.Buffer {
	var text bytes.Buffer
	c.Logger = slog.New(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &text
}

// good holds the bodies of requests that succeed.
var good = map[string]string{
	api.RouteRaw:      `{"runtime_data":"aGVsbG8="}`,
	api.RouteCombined: `{"runtime_data":"aGVsbG8="}`,
	api.RouteMAA:      `{"maa_endpoint":"sharedeus.eus.attest.azure.net","runtime_data":"aGVsbG8="}`,
	api.RouteRelease:  `{"maa_endpoint":"sharedeus.eus.attest.azure.net","akv_endpoint":"contoso.vault.azure.net","kid":"demo"}`,
}

func newRequest(method, path, body string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body))
	r.Host = "localhost:8080"
	return r
}

// ask sends one request without a network and checks request and answer against the OpenAPI
// description.
func ask(t testing.TB, h http.Handler, r *http.Request) *http.Response {
	t.Helper()
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(sent))
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	response := recorder.Result()
	checkSpec(t, r, sent, response, recorder.Body.Bytes())
	checkHeaders(t, response)
	return response
}

func checkHeaders(t testing.TB, response *http.Response) {
	t.Helper()
	want := map[string]string{"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff"}
	for name, value := range want {
		if got := response.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

var spec = sync.OnceValues(func() (routers.Router, error) {
	description, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		return nil, err
	}
	if err := description.Validate(context.Background()); err != nil {
		return nil, err
	}
	description.Servers = nil // tests listen on another address
	return gorillamux.NewRouter(description)
})

// checkSpec checks that the description covers every answer of a known route and method, and
// every request that succeeds.
func checkSpec(t testing.TB, r *http.Request, sent []byte, response *http.Response, body []byte) {
	t.Helper()
	router, err := spec()
	if err != nil {
		t.Fatal(err)
	}
	sentRequest := r.Clone(context.Background())
	if strings.HasSuffix(sentRequest.URL.EscapedPath(), "/") {
		sentRequest.URL.Path = strings.TrimSuffix(sentRequest.URL.Path, "/")
	}
	sentRequest.Body = io.NopCloser(bytes.NewReader(withoutNulls(sent)))
	if len(sent) > 0 {
		sentRequest.Header.Set("Content-Type", "application/json") // every type is read as JSON
	}
	route, parameters, err := router.FindRoute(sentRequest)
	if err != nil {
		if response.StatusCode != http.StatusNotFound && response.StatusCode != http.StatusMethodNotAllowed &&
			response.StatusCode != http.StatusForbidden {
			t.Errorf("%s %s is not described, but answered %d", r.Method, r.URL.Path, response.StatusCode)
		}
		return
	}
	input := &openapi3filter.RequestValidationInput{Request: sentRequest, Route: route, PathParams: parameters}
	err = openapi3filter.ValidateRequest(context.Background(), input)
	if response.StatusCode == http.StatusOK && err != nil {
		t.Errorf("the description refuses a request that succeeded: %v", err)
	}
	answered := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: response.StatusCode,
		Header: response.Header, Options: &openapi3filter.Options{IncludeResponseStatus: true}}
	answered.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(context.Background(), answered); err != nil {
		t.Errorf("the description refuses the answer %d %s: %v", response.StatusCode, body, err)
	}
}

// withoutNulls removes the members that are null from the body. The description covers them in
// words, so a generated client need not know them.
func withoutNulls(body []byte) []byte {
	var members map[string]any
	if json.Unmarshal(body, &members) != nil {
		return body
	}
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	text, _ := json.Marshal(members) // it was valid JSON
	return text
}

// readError checks status and code and returns the body.
func readError(t testing.TB, response *http.Response, status int, code api.Code) api.Error {
	t.Helper()
	var refused api.Error
	if err := json.NewDecoder(response.Body).Decode(&refused); err != nil {
		t.Fatalf("answer %d has no error body: %v", response.StatusCode, err)
	}
	if response.StatusCode != status || refused.Code != code {
		t.Errorf("answer is %d %s (%s), want %d %s", response.StatusCode, refused.Code, refused.Message, status, code)
	}
	if refused.Message == "" || refused.RequestID != response.Header.Get("X-Request-Id") {
		t.Errorf("error body %+v does not fit X-Request-Id %q", refused, response.Header.Get("X-Request-Id"))
	}
	return refused
}

func readJSON[T any](t testing.TB, response *http.Response) T {
	t.Helper()
	var into T
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("answer is %d %s", response.StatusCode, text)
	}
	if err := json.NewDecoder(response.Body).Decode(&into); err != nil {
		t.Fatal(err)
	}
	return into
}
