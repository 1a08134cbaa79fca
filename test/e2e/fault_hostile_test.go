package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"skr/api"
	"skr/test/emulator"
)

// hostileHTTP are answers that no real service gives, and their outcomes. refused stands
// for the meaning of the service's own 4xx.
const refused api.Code = "refused"

var hostileHTTP = []struct {
	name   string
	answer http.HandlerFunc
	want   api.Code
}{
	{"echo 400", echo(400, azureError), refused},
	{"echo 401", echo(401, azureError), refused},
	{"echo 403", echo(403, azureError), refused},
	{"echo 500", echo(500, azureError), api.Unavailable},
	{"echo 429", echo(429, azureError), api.Throttled},
	{"echo 200", echo(200, azureError), api.UntrustedResponse},
	{"echo 302", echo(302, azureError), api.UntrustedResponse},
	{"echo 200 as value", echo(200, `{"value":%[1]s,"token":%[1]s}`), api.UntrustedResponse},
	{"echo 200 as page", echo(200, `<html>%s`), api.UntrustedResponse},
	{"empty object", text(200, `{}`), api.UntrustedResponse},
	{"null", text(200, `{"value":null,"token":null}`), api.UntrustedResponse},
	{"number", text(200, `{"value":1,"token":1}`), api.UntrustedResponse},
	{"empty text", text(200, `{"value":"","token":""}`), api.UntrustedResponse},
	{"three parts", text(200, `{"value":"a.b.c","token":"a.b.c"}`), api.UntrustedResponse},
	{"a million dots", text(200, `{"value":"`+strings.Repeat(".", 900_000)+`","token":"`+strings.Repeat(".", 60_000)+`"}`), api.UntrustedResponse},
	{"deep", text(200, strings.Repeat(`[`, 900_000)), api.UntrustedResponse},
	{"deep value", text(200, `{"value":`+strings.Repeat(`[`, 400_000)+strings.Repeat(`]`, 400_000)+`}`), api.UntrustedResponse},
	{"gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0})
	}, api.UntrustedResponse},
	{"claims challenge", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.localhost/common/oauth2/authorize", `+
			`error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="`)
		w.WriteHeader(http.StatusUnauthorized)
	}, refused},
	{"challenge without a path", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://evil.example", resource="https://evil.example"`)
		w.WriteHeader(http.StatusUnauthorized)
	}, refused},
	{"not HTTP", bytesOnWire("SSH-2.0-OpenSSH_9.6\r\n"), api.Unavailable},
	{"101", bytesOnWire("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), api.UntrustedResponse},
	{"503 without its body", bytesOnWire("HTTP/1.1 503 Unavailable\r\nContent-Length: 9\r\n\r\n"), api.Unavailable},
	{"429 without its body", bytesOnWire("HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 9\r\n\r\n"), api.Throttled},
	{"302 without its body", bytesOnWire("HTTP/1.1 302 Found\r\nContent-Length: 9\r\n\r\n"), api.UntrustedResponse},
	{"200 without its body", bytesOnWire("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), late},
	{"negative length", bytesOnWire("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"), api.Unavailable},
	{"endless header", flood("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("a", 1000)+"\r\n"), api.Unavailable},
	{"endless 103", flood("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), api.Unavailable},
	{"endless body", flood("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat(" ", 1<<16)), api.UntrustedResponse},
	{"endless body of an error", flood("HTTP/1.1 503 Unavailable\r\n\r\n", strings.Repeat(" ", 1<<16)), api.Unavailable},
	{"retry after a century", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "99999999999999999999")
		w.Header().Set("X-Ms-Retry-After-Ms", "9223372036854775807")
		w.WriteHeader(http.StatusTooManyRequests)
	}, api.Throttled},
}

// TestHostileServers puts a stranger with a valid TLS name in a service's place. Whatever
// it answers, skr reports who refused and leaks no secret. The next call, to the real
// service, succeeds.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	var running sync.WaitGroup
	for name, try := range map[string]func(*stranger, *testing.T, http.HandlerFunc, api.Code){
		"maa": (*stranger).asAuthority, "keys": (*stranger).asKeys, "vault": (*stranger).asVault,
	} {
		running.Go(func() {
			t.Run(name, func(t *testing.T) {
				who := newStranger(t)
				places := make(chan struct{}, 4)
				var waiting sync.WaitGroup
				for _, c := range hostileHTTP {
					if strings.HasPrefix(c.name, "echo") { // one at a time, so that the log shows which
						m.run(t, "as "+name, c.name, func(t *testing.T) {
							begin := len(who.sidecar.log.String())
							try(who, t, c.answer, c.want)
							who.inspect(t, who.sidecar, begin)
						})
						continue
					}
					waiting.Go(func() {
						places <- struct{}{}
						defer func() { <-places }()
						m.run(t, "as "+name, c.name, func(t *testing.T) { try(who, t, c.answer, c.want) })
					})
				}
				waiting.Wait()
			})
		})
	}
	running.Wait()
	m.print(t, "a stranger in the place of a service")
}

// stranger is a server of the test that a sidecar may call besides its cloud.
type stranger struct {
	*lab
	*stub
	sidecar *sidecar
	cases   atomic.Int64
}

func newStranger(t *testing.T) *stranger {
	who := &stranger{lab: newLab(t, emulator.Config{})}
	who.stub = newStub(t, who.cloud)
	own := environmentOf(who.cloud)
	// Each case has its own host, so that cached data of the real hosts hides nothing.
	who.sidecar = who.lab.sidecar(t, "SKR_ATTESTATION_MAX_AGE=1h",
		"SKR_MAA_ALLOW=*.attest.localhost:"+who.port+","+own["SKR_MAA_ALLOW"],
		"SKR_VAULT_ALLOW=*.vault.localhost:"+who.port+","+own["SKR_VAULT_ALLOW"])
	return who
}

// host returns a host that was never called before, so that nothing of it is cached.
func (w *stranger) host(domain string) string {
	return fmt.Sprintf("case%d.%s.localhost:%s", w.cases.Add(1), domain, w.port)
}

func (w *stranger) asAuthority(t *testing.T, answer http.HandlerFunc, want api.Code) {
	if want == refused {
		want = api.AttestationRejected
	}
	request := w.request()
	request.MAAEndpoint = w.host("attest")
	w.say(request.MAAEndpoint, answer)
	expectOf(t, w.sidecar, token, request, want)
	expectOf(t, w.sidecar, token, w.request(), served)
}

// asKeys answers with a token that may be good, and with keys that are not. None of the
// key sets has the token's signing key, and all answers come at once.
func (w *stranger) asKeys(t *testing.T, answer http.HandlerFunc, want api.Code) {
	if want == refused {
		want = api.UntrustedResponse
	}
	request := w.request()
	request.MAAEndpoint = w.host("attest")
	w.say(request.MAAEndpoint, attesting(answer))
	expectOf(t, w.sidecar, token, request, want)
	if want == api.Throttled {
		return // skr does not call the host again for a while
	}
	w.say(request.MAAEndpoint, attesting(text(200, `{"jwks_uri":"https://`+request.MAAEndpoint+`/certs","keys":[]}`)))
	expectOf(t, w.sidecar, token, request, api.UntrustedResponse)
}

// attesting answers evidence with a token, and passes all other requests to keys.
func attesting(keys http.HandlerFunc) http.HandlerFunc {
	token := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"k"}`)) + ".e30.AAAA"
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			text(200, `{"token":"`+token+`"}`)(w, r)
			return
		}
		keys(w, r)
	}
}

func (w *stranger) asVault(t *testing.T, answer http.HandlerFunc, want api.Code) {
	if want == refused {
		want = api.ReleaseRejected
	}
	request := w.request()
	request.AKVEndpoint = w.host("vault")
	w.say(request.AKVEndpoint, answer)
	w.expect(t, w.sidecar, request, want)
	w.expect(t, w.sidecar, w.request(), served)
}
