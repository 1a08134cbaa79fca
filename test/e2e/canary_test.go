package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"skr/api"
	"skr/internal/jose/jwk"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/leak"
	"skr/test/program"
)

// The tokens that this test plants. They cannot be host names: error texts repeat a host
// name that is not allowed.
const (
	callerToken    = "canary~caller_token~3f9a1c5e7b2d4860"
	collectorToken = "canary~collector_token~0b1c2d3e4f5a6978"
)

// canary knows every secret that a sidecar sees, and everything that it writes.
type canary struct {
	mu      sync.Mutex
	secrets map[string]string   // value to name
	modules map[string]*big.Int // KEKs, by modulus
	output  bytes.Buffer
}

func newCanary() *canary {
	return &canary{
		secrets: map[string]string{callerToken: "the caller's token", collectorToken: "the collector's token"},
		modules: map[string]*big.Int{},
	}
}

func (c *canary) plant(name, value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if value != "" {
		c.secrets[value] = name
	}
}

func (c *canary) wrote(text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.output.Write(append(text, '\n'))
}

// tap records the tokens in the cloud's answers.
func (c *canary) tap(service string, answer []byte) {
	var tokens struct {
		Token  string `json:"token"`
		Access string `json:"access_token"`
	}
	if json.Unmarshal(answer, &tokens) != nil {
		return // an answer of another kind
	}
	c.plant("access token by "+service, tokens.Access)
	c.plant("attestation token", tokens.Token)
	if parts := strings.Split(tokens.Token, "."); len(parts) == 3 {
		c.plantKEK(parts[1])
	}
}

// plantKEK records the public half of a KEK from the claims of a token.
func (c *canary) plantKEK(payload string) {
	var claims struct {
		Runtime struct {
			Keys []struct{ N string } `json:"keys"`
		} `json:"x-ms-runtime"`
	}
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return // a forged one
	}
	for _, key := range claims.Runtime.Keys {
		if n, err := base64.RawURLEncoding.DecodeString(key.N); err == nil {
			c.mu.Lock()
			c.modules[key.N] = new(big.Int).SetBytes(n)
			c.mu.Unlock()
		}
	}
}

// plantKey records the parts of a released key.
func (c *canary) plantKey(t *testing.T, text []byte) {
	t.Helper()
	key, err := jwk.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, member := range map[string]string{"d": key.D, "p": key.P, "q": key.Q, "dp": key.DP, "dq": key.DQ, "qi": key.QI} {
		raw, err := base64.RawURLEncoding.DecodeString(member)
		if err != nil || len(raw) == 0 {
			t.Fatalf("member %s of the released key: %v", name, err)
		}
		c.plant("member "+name+" of the released key", string(raw))
		c.plant("text of member "+name+" of the released key", member)
	}
	modulus, err := base64.RawURLEncoding.DecodeString(key.N)
	if err != nil {
		t.Fatal(err)
	}
	c.modules[key.N] = new(big.Int).SetBytes(modulus)
}

func (c *canary) search(t *testing.T) {
	t.Helper()
	text := c.output.String()
	for secret, name := range c.secrets {
		if part := leak.Find(text, secret); part != "" {
			at := strings.Index(text, part)
			t.Errorf("the output holds a part of %s: %q in %q", name, part, text[max(0, at-300):min(len(text), at+100)])
		}
	}
	for _, modulus := range c.modules {
		if form := leak.Factor(text, modulus); form != "" {
			t.Errorf("the output holds a prime of an RSA key in %s", form)
		}
	}
	t.Logf("%d secrets and %d RSA keys searched in %d bytes of output", len(c.secrets), len(c.modules), len(text))
}

// collector starts a collector of traces, and returns its URL.
func (c *canary) collector(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != collectorToken {
			t.Errorf("the collector got Authorization %q", got)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.wrote(body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// No output of the program holds a secret: log, audit records, metrics, readiness, traces,
// error answers, arguments and configuration.
func TestCanary(t *testing.T) {
	t.Parallel()
	for level, formats := range map[string][]string{"debug": {"json", "text"}, "info": {"text"}, "warn": {"json"}, "error": {"json"}} {
		for _, format := range formats {
			t.Run(level+" "+format, func(t *testing.T) {
				c := newCanary()
				l := newLab(t, emulator.Config{Tap: c.tap})
				c.plant("the caller's access token", l.access)
				s, env := c.sidecar(t, l, "SKR_LOG_LEVEL="+level, "SKR_LOG_FORMAT="+format)
				faults := canaryFaults
				if level != "debug" {
					faults = faults[:4]
				}
				c.exerciseGRPC(t, l, valueOf(env, grpcAddress), c.exercise(t, l, s, faults))
				c.collect(t, s, env)
				c.search(t)
				if want := 20; len(c.secrets) < want || len(c.modules) < 2 {
					t.Errorf("only %d secrets and %d keys were known, want at least %d and 2", len(c.secrets), len(c.modules), want)
				}
			})
		}
	}
}

const opsAddress = "SKR_OPS_LISTEN="

// sidecar starts a sidecar with every kind of output on.
func (c *canary) sidecar(t *testing.T, l *lab, more ...string) (*sidecar, []string) {
	t.Helper()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	workload := workloadIdentity(t, l.cloud)
	for _, variable := range workload {
		if path, ok := strings.CutPrefix(variable, "AZURE_FEDERATED_TOKEN_FILE="); ok {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c.plant("the federated token", string(text))
		}
	}
	env := slices.Concat(l.cloud.Environment(l.cloud.Machine()), workload, more, []string{
		"SKR_ATTESTATION_MAX_AGE=2s", "SKR_REQUEST_TIMEOUT=" + requestTimeout.String(),
		opsAddress + program.FreeAddress(t), "SKR_OPS_DOCTOR=true", grpcAddress + program.FreeAddress(t), "SKR_AUDIT_FILE=" + filepath.Join(dir, "audit.log"),
		`SKR_KEYS={"demo":{"vault":"` + l.vault + `","key":"k","authority":"` + l.cloud.AttestationHost() + `"}}`,
		`SKR_ACCESS=[{"name":"app","token_file":"` + file("token", callerToken) + `","routes":["*"],"keys":["*"]}]`,
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.collector(t), "OTEL_EXPORTER_OTLP_HEADERS=authorization=" + collectorToken,
		"OTEL_BSP_SCHEDULE_DELAY=100",
	})
	s := start(t, env)
	var err error
	s.client, err = api.NewClient(api.Config{BaseURL: "http://" + s.address, Attempts: 1, TokenFile: filepath.Join(dir, "token")})
	if err != nil {
		t.Fatal(err)
	}
	return s.ready(t), env
}

var canaryFaults = []string{
	"maa/attest:forge=other-kek", "vault/release:forge=other-key", "vault/release:status=403", "entra/token:status=401",
	"report:status=500", "maa/attest:status=401", "maa/attest:not-json", "maa/certs:status=500", "vault/release:truncate", "imds:status=500",
}

// exercise calls every route, with and without faults, and with secrets in the wrong
// places. It returns a released key.
func (c *canary) exercise(t *testing.T, l *lab, s *sidecar, faults []string) (released []byte) {
	t.Helper()
	ctx := t.Context()
	all := func(good bool) {
		_, failed := s.client.Report(ctx, []byte("data"))
		c.note(failed)
		_, failed = s.client.Evidence(ctx, []byte("data"))
		c.note(failed)
		token, failed := s.client.Token(ctx, l.cloud.AttestationHost(), []byte(`{"keys":[]}`))
		c.note(failed)
		c.plant("a requested attestation token", string(token))
		for _, request := range []api.ReleaseRequest{{Alias: "demo"}, l.request(), {Alias: "demo", AccessToken: api.Secret(l.access)}} {
			key, failed := s.client.Release(ctx, request)
			c.note(failed)
			switch {
			case failed == nil:
				c.plantKey(t, key)
				released = key
			case good:
				t.Errorf("a good release: %v", failed)
			}
		}
	}
	all(true)
	for _, words := range faults {
		rule, err := fault.ParseRule(words)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.cloud.Faults().Add(rule); err != nil {
			t.Fatal(err)
		}
		all(false)
		l.cloud.Faults().Clear()
	}
	c.misplace(t, l, s)
	return released
}

func (c *canary) note(err error) {
	if err != nil {
		c.wrote([]byte(err.Error()))
	}
}

// misplace sends secrets in every member and header of a request.
func (c *canary) misplace(t *testing.T, l *lab, s *sidecar) {
	t.Helper()
	for _, secret := range []string{l.access, callerToken, "Bearer " + callerToken} {
		for _, member := range []string{"alias", "maa_endpoint", "akv_endpoint", "kid", "access_token", "runtime_data", secret} {
			for _, route := range []string{api.RouteRaw, api.RouteMAA, api.RouteRelease, "/" + strings.ReplaceAll(secret, " ", "")} {
				body, err := json.Marshal(map[string]string{member: secret})
				if err != nil {
					t.Fatal(err)
				}
				c.send(t, s, route, body, "Bearer "+callerToken)
			}
		}
		c.send(t, s, api.RouteRaw, []byte(secret), "Bearer "+callerToken)
		c.send(t, s, api.RouteRaw, []byte(`{"runtime_data":"aGVsbG8="}`), "Basic "+secret)
		c.send(t, s, api.RouteRaw, []byte(`{"runtime_data":"aGVsbG8="}`), "Bearer x"+secret)
	}
}

func (c *canary) send(t *testing.T, s *sidecar, route string, body []byte, authorization string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+route, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", authorization)
	request.Header.Set("X-Request-Id", strings.ReplaceAll(authorization, " ", ""))
	request.Header.Set("Traceparent", authorization)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		c.wrote(answer)
	}
}

// valueOf returns the value of a variable in env. The name includes the equals sign.
func valueOf(env []string, name string) string {
	at := slices.IndexFunc(env, func(variable string) bool { return strings.HasPrefix(variable, name) })
	return strings.TrimPrefix(env[at], name)
}

// collect gathers everything that the sidecar writes until it ends.
func (c *canary) collect(t *testing.T, s *sidecar, env []string) {
	t.Helper()
	for _, path := range []string{"/doctor", "/metrics", "/readyz", "/livez", "/" + callerToken} {
		response, err := http.Get("http://" + valueOf(env, opsAddress) + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if path == "/metrics" && !bytes.Contains(text, []byte(`skr_releases_total{reason="ok",result="released"}`)) {
			t.Errorf("the metrics do not count releases:\n%s", text)
		}
		c.wrote(text)
	}
	arguments, err := os.ReadFile("/proc/" + strconv.Itoa(s.process.Process.Pid) + "/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	c.wrote(arguments)
	if err := s.stop(); err != nil {
		t.Errorf("the sidecar ended with %v", err)
	}
	c.wrote([]byte(s.log.String()))
	audit, err := os.ReadFile(valueOf(env, "SKR_AUDIT_FILE="))
	if err != nil || !bytes.Contains(audit, []byte(`"released"`)) {
		t.Fatalf("the audit file: %v\n%s", err, audit)
	}
	c.wrote(audit)
	stdout, stderr, code := once(t, env, "", "config")
	if code != 0 {
		t.Errorf("skr config: %s", stderr)
	}
	c.wrote([]byte(stdout))
	if !strings.Contains(c.output.String(), "skr") || c.output.Len() < 10_000 {
		t.Errorf("only %d bytes were collected", c.output.Len())
	}
}

// The canary can fail: it finds a key that is written as PEM.
func TestCanaryFinds(t *testing.T) {
	t.Parallel()
	c := newCanary()
	l := newLab(t, emulator.Config{Tap: c.tap})
	s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=1h")
	key, err := s.client.Release(context.WithoutCancel(t.Context()), l.request())
	if err != nil {
		t.Fatal(err)
	}
	c.plantKey(t, key)
	parsed, err := jwk.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	prime, err := base64.RawURLEncoding.DecodeString(parsed.P)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: prime}))
	found := 0
	for secret := range c.secrets {
		if leak.Find(strings.ReplaceAll(text, "\n", ""), secret) != "" {
			found++
		}
	}
	if found == 0 || len(c.modules) < 2 {
		t.Errorf("%d secrets found, %d keys known", found, len(c.modules))
	}
}
