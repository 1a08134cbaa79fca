package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"skr/api"
	"skr/test/emulator"
)

// caller is a program that calls the reference sidecar, byte for byte. In its request
// MAA, AKV, HSM and TOKEN stand for the emulated authority, vaults and access token, and
// LENGTH for the length of the body. Lines end with LF here, and with CR LF on the wire.
type caller struct {
	name, source string
	request      string
	chunked      bool // the client sends no Content-Length
}

// callers are shapes of requests. Those with a repository were read there. A file that
// was found only by its text has no repository. Those marked "captured" were recorded
// from the client itself.
var callers = []caller{
	{name: "documentation, release with curl",
		source: "microsoft/confidential-sidecar-containers docker/skr/tests/skr_client.sh", request: `POST /key/release HTTP/1.1
Host: localhost:8080
User-Agent: curl/7.88.1
Accept: */*
Content-Type: application/json
Content-Length: LENGTH

{"maa_endpoint": "MAA", "akv_endpoint": "AKV", "kid": "k"}`},
	{name: "documentation, report with curl",
		source: "microsoft/confidential-sidecar-containers docker/skr/tests/attest_client.sh", request: `POST /attest/raw HTTP/1.1
Host: localhost:8080
User-Agent: curl/7.88.1
Accept: */*
Content-Type: application/json
Content-Length: LENGTH

{"runtime_data": "eyJrZXlzIjpbXX0="}`},
	{name: "documentation, token with curl",
		source: "microsoft/confidential-sidecar-containers docker/skr/tests/attest_client.sh", request: `POST /attest/maa HTTP/1.1
Host: localhost:8080
User-Agent: curl/7.88.1
Accept: */*
Content-Type: application/json
Content-Length: LENGTH

{"maa_endpoint": "MAA", "runtime_data": "eyJrZXlzIjpbXX0="}`},
	{name: "own test, status", source: "microsoft/confidential-sidecar-containers tests/skr/test.py test_skr_http_status, " +
		"through proxy.py, which forwards headers", request: `GET /status HTTP/1.1
Host: localhost:8080
User-Agent: python-requests/2.32.3
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive

`},
	{name: "own test, raw", source: "tests/skr/test.py test_skr_http_attest_raw: URL-safe base64", request: `POST /attest/raw HTTP/1.1
Host: localhost:8080
User-Agent: python-requests/2.32.3
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
Content-Type: application/json
Content-Length: LENGTH

{"runtime_data": "RVhBTVBMRQ=="}`},
	{name: "own test, combined", source: "tests/skr/test.py test_skr_http_attest_combined: URL-safe base64", request: `POST /attest/combined HTTP/1.1
Host: localhost:8080
User-Agent: python-requests/2.32.3
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
Content-Type: application/json
Content-Length: LENGTH

{"runtime_data": "RVhBTVBMRV9DT01CSU5FRA=="}`},
	{name: "own test, token", source: "tests/skr/test.py test_skr_http_attest_maa: a JWKS in URL-safe base64", request: `POST /attest/maa HTTP/1.1
Host: localhost:8080
User-Agent: python-requests/2.32.3
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
Content-Type: application/json
Content-Length: LENGTH

{"maa_endpoint": "MAA", "runtime_data": "` +
		base64.URLEncoding.EncodeToString([]byte(`{"keys": [{"key_ops": ["encrypt"], "kid": "test-key", "kty": "oct-HSM", "k": "example"}]}`)) + `"}`},
	{name: "own test, symmetric key", source: "tests/skr/test.py test_skr_http_oct_key_release: key_ops must be the vault's", request: `POST /key/release HTTP/1.1
Host: localhost:8080
User-Agent: python-requests/2.32.3
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
Content-Type: application/json
Content-Length: LENGTH

{"maa_endpoint": "MAA", "akv_endpoint": "HSM", "kid": "oct"}`},
	{name: "own test, EC key", source: "tests/skr/test.py test_skr_http_ec_key_release", request: `POST /key/release HTTP/1.1
Host: localhost:8080
User-Agent: python-requests/2.32.3
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
Content-Type: application/json
Content-Length: LENGTH

{"maa_endpoint": "MAA", "akv_endpoint": "HSM", "kid": "ec"}`},
	{name: "C#, System.Text.Json without an access token", source: "SecureKeyReleasePayload.cs and Utils.cs of a clean room's identity tests: " +
		"JsonContent is chunked, and null is written", chunked: true, request: `POST /key/release HTTP/1.1
Host: localhost:8284
Content-Type: application/json; charset=utf-8
Transfer-Encoding: chunked

{"maa_endpoint":"MAA","akv_endpoint":"AKV","kid":"k","access_token":null}`},
	{name: "C#, evidence of a clean room", source: "GetCACIReportAsync of a clean room: JsonContent of an anonymous object", chunked: true,
		request: `POST /attest/combined HTTP/1.1
Host: localhost:8284
Content-Type: application/json; charset=utf-8
Transfer-Encoding: chunked

{"runtime_data":"eyJrZXlzIjpbXX0="}`},
	{name: "Python, key of a clean room", source: "SkrHttpConnector.get_released_jwt_key of a clean room: requests with json=, an access token",
		request: `POST /key/release HTTP/1.1
Host: localhost:8284
User-Agent: python-requests/2.31.0
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
Content-Type: application/json
Content-Length: LENGTH

{"maa_endpoint": "MAA", "akv_endpoint": "AKV", "kid": "k", "access_token": "TOKEN"}`},
	{name: "Java, UID2", source: "IABTechLab/uid2-attestation-azure AzureCCAttestationProvider.java: Gson, " +
		"java.net.http with its offer of HTTP/2, captured", request: `POST /attest/maa HTTP/1.1
Connection: Upgrade, HTTP2-Settings
Content-Length: LENGTH
Host: localhost:8080
HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA
Upgrade: h2c
User-Agent: Java-http-client/17.0.15
Content-Type: application/json

{"maa_endpoint":"MAA","runtime_data":"` + base64.StdEncoding.EncodeToString([]byte(`{"location":"East US","publicKey":"YWJj"}`)) + `"}`},
	{name: "JavaScript, polaris", source: "AzureSKRSidecarKeyHandler.ts of @fr0ntier-x/polaris: axios, which omits the undefined access token",
		request: `POST /key/release HTTP/1.1
Accept: application/json, text/plain, */*
Content-Type: application/json
User-Agent: axios/1.7.9
Content-Length: LENGTH
Accept-Encoding: gzip, compress, deflate, br
Host: localhost:8080
Connection: keep-alive

{"maa_endpoint":"MAA","akv_endpoint":"AKV","kid":"k"}`},
	{name: "Go, consumer of the Kafka demonstration", source: "microsoft/confidential-container-demos, retrieveKey: net/http and a string",
		request: `POST /key/release HTTP/1.1
Host: localhost:8080
User-Agent: Go-http-client/1.1
Content-Length: LENGTH
Content-Type: application/json
Accept-Encoding: gzip

{"maa_endpoint": "MAA", "akv_endpoint": "AKV", "kid": "k"}`},
	{name: "Python, NVFlare", source: "NVIDIA/NVFlare ACIAuthorizer: data=json.dumps, runtime data {\\n}", request: `POST /attest/maa HTTP/1.1
Host: localhost:8284
User-Agent: python-requests/2.31.0
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
Content-Type: application/json
Content-Length: LENGTH

{"maa_endpoint": "MAA", "runtime_data": "ewp9"}`},
	{name: "Rust, SkrSidecar", source: "KeyProvider of a relational-tee: serde_json sorts the members", request: `POST /key/release HTTP/1.1
content-type: application/json
host: localhost:9000
content-length: LENGTH

{"akv_endpoint":"AKV","kid":"k","maa_endpoint":"MAA"}`},
	{name: "Python, httpx", source: "_fetch_secret_from_skr of an MCP server: httpx with json=, the vault as people paste it", request: `POST /key/release HTTP/1.1
Host: localhost:9000
Accept: */*
Accept-Encoding: gzip, deflate
Connection: keep-alive
User-Agent: python-httpx/0.27.0
Content-Length: LENGTH
Content-Type: application/json

{"maa_endpoint":"MAA","akv_endpoint":"https://AKV/","kid":"k/"}`},

	{name: "Node, fetch with a string", source: "captured from node 20.20.2", request: `POST /key/release HTTP/1.1
host: 127.0.0.1:8080
connection: keep-alive
content-type: text/plain;charset=UTF-8
accept: */*
accept-language: *
sec-fetch-mode: cors
user-agent: node
accept-encoding: gzip, deflate
content-length: LENGTH

{"maa_endpoint":"MAA","akv_endpoint":"AKV","kid":"k"}`},
	{name: "Node, fetch for the status", source: "captured from node 20.20.2", request: `GET /status HTTP/1.1
host: 127.0.0.1:8080
connection: keep-alive
accept: */*
accept-language: *
sec-fetch-mode: cors
user-agent: node
accept-encoding: gzip, deflate

`},
	{name: "curl -d", source: "captured from curl 7.88.1", request: `POST /attest/raw HTTP/1.1
Host: 0.0.0.0:8080
User-Agent: curl/7.88.1
Accept: */*
Content-Length: LENGTH
Content-Type: application/x-www-form-urlencoded

{"runtime_data":"eyJrZXlzIjpbXX0="}`},
	{name: "wget --post-data", source: "captured from Wget 1.21.3", request: `POST /attest/raw HTTP/1.1
Host: 127.0.0.1:8080
User-Agent: Wget/1.21.3
Accept: */*
Accept-Encoding: identity
Connection: Keep-Alive
Content-Type: application/x-www-form-urlencoded
Content-Length: LENGTH

{"runtime_data":"eyJrZXlzIjpbXX0="}`},
	{name: "Python, urllib", source: "captured from Python-urllib 3.11; runtime data by base64.encodebytes", request: `POST /attest/maa HTTP/1.1
Accept-Encoding: identity
Content-Type: application/x-www-form-urlencoded
Content-Length: LENGTH
Host: 127.0.0.1:8080
User-Agent: Python-urllib/3.11
Connection: close

{"maa_endpoint": "MAA", "runtime_data": "eyJrZXlzIjogWyJhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\nYWFhYWFhYWFhIl19\n"}`},
	{name: "Python, http.client", source: "captured from Python 3.11: no content type", request: `POST /attest/raw HTTP/1.1
Host: 127.0.0.1:8080
Accept-Encoding: identity
Content-Length: LENGTH

{"runtime_data":"eyJrZXlzIjpbXX0="}`},
	{name: "Java, HttpURLConnection", source: "captured from Java 17; Jackson writes null, and Base64.getMimeEncoder CR LF", request: `POST /attest/raw HTTP/1.1
User-Agent: Java/17.0.15
Host: 127.0.0.1:8080
Accept: text/html, image/gif, image/jpeg, */*; q=0.2
Connection: keep-alive
Content-type: application/x-www-form-urlencoded
Content-Length: LENGTH

{"runtime_data":"eyJrZXlzIjogWyJhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh\r\nYWFhYWFhYWFhIl19"}`},
	{name: "Java, Jackson", source: "java.net.http as captured; a class with all members; unset ones are null", request: `POST /key/release HTTP/1.1
Connection: Upgrade, HTTP2-Settings
Content-Length: LENGTH
Host: localhost:8080
HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA
Upgrade: h2c
User-Agent: Java-http-client/17.0.15

{"access_token":null,"akv_endpoint":"AKV","kid":"k","maa_endpoint":"MAA"}`},
	{name: "OkHttp", source: "the type of RequestBody.create with a string: application/json; charset=utf-8", request: `POST /key/release HTTP/1.1
Content-Type: application/json; charset=utf-8
Content-Length: LENGTH
Host: localhost:8080
Connection: Keep-Alive
Accept-Encoding: gzip
User-Agent: okhttp/4.12.0

{"maa_endpoint":"MAA","akv_endpoint":"AKV","kid":"k"}`},
	{name: "C#, StringContent", source: "the default type of StringContent", request: `POST /key/release HTTP/1.1
Host: localhost:8080
Content-Type: text/plain; charset=utf-8
Content-Length: LENGTH

{"maa_endpoint":"MAA","akv_endpoint":"AKV","kid":"k"}`},
	{name: "shell, nc", source: "printf into a socket: HTTP/1.0 without a Host", request: `GET /status HTTP/1.0

`},
}

// wire is the request of a caller on the wire.
func (c caller) wire(l *lab, hsm string) string {
	named := strings.NewReplacer("MAA", l.cloud.AttestationHost(), "AKV", l.vault, "HSM", hsm, "TOKEN", l.access)
	head, body, _ := strings.Cut(c.request, "\n\n")
	body = named.Replace(body)
	head = strings.ReplaceAll(strings.ReplaceAll(head, "LENGTH", fmt.Sprint(len(body))), "\n", "\r\n") + "\r\n\r\n"
	if c.chunked {
		return fmt.Sprintf("%s%x\r\n%s\r\n0\r\n\r\n", head, len(body), body)
	}
	return head + body
}

// TestCallers: every program that calls the reference sidecar gets what it requests.
func TestCallers(t *testing.T) {
	t.Parallel()
	l, s := inputLab(t)
	hsm := l.cloud.Host("demo", "managedhsm")
	createKey(t, l.cloud, hsm, emulator.KeySpec{Name: "oct", Kty: "oct-HSM", Size: 256})
	createKey(t, l.cloud, hsm, emulator.KeySpec{Name: "ec", Kty: "EC-HSM", Curve: "P-256"})
	for _, c := range callers {
		t.Run(c.name, func(t *testing.T) {
			raw := c.wire(l, hsm)
			r := ask(t, s, raw)
			if r.status != http.StatusOK {
				t.Fatalf("%s\nstatus %d: %s", c.request, r.status, r.body)
			}
			route := strings.Fields(raw)[1]
			holdsResult(t, route, r)
		})
	}
	if len(callers) < 18 {
		t.Errorf("%d callers, want at least 18", len(callers))
	}
}

// holdsResult checks that an answer has what a caller of the route reads.
func holdsResult(t *testing.T, route string, r reply) {
	t.Helper()
	var answer map[string]string
	if err := json.Unmarshal(r.body, &answer); err != nil {
		t.Fatalf("the answer is not an object of strings: %v", err)
	}
	want := map[string][]string{
		api.RouteStatus: {"message"}, api.RouteRaw: {"report"}, api.RouteMAA: {"token"}, api.RouteRelease: {"key"},
		api.RouteCombined: {"endorsed_tcb", "endorsements", "evidence", "uvm_endorsements"},
	}[route]
	if got := slices.Sorted(maps.Keys(answer)); !slices.Equal(got, want) {
		t.Errorf("the answer has the members %q, want %q", got, want)
	}
	if route != api.RouteRelease {
		return
	}
	var key map[string]any
	if err := json.Unmarshal([]byte(answer["key"]), &key); err != nil {
		t.Fatalf("the key is not JSON: %v", err)
	}
	members := map[any][]string{
		"RSA": {"d", "dp", "dq", "e", "key_ops", "kty", "n", "p", "q", "qi"}, "EC": {"crv", "d", "key_ops", "kty", "x", "y"}, "oct": {"k", "key_ops", "kty"},
	}[key["kty"]]
	if got := slices.Sorted(maps.Keys(key)); !slices.Equal(got, members) {
		t.Errorf("the JWK has the members %q, want %q", got, members)
	}
	if id := r.header.Get(api.HeaderKeyID); !strings.HasPrefix(id, "https://") || !strings.Contains(id, "/keys/") {
		t.Errorf("the key's identifier is %q", id)
	}
}

// TestInstalledClients runs the clients of this machine with the usual command lines.
func TestInstalledClients(t *testing.T) {
	t.Parallel()
	l, s := inputLab(t)
	body := `{"maa_endpoint":"` + l.cloud.AttestationHost() + `","akv_endpoint":"` + l.vault + `","kid":"k","access_token":null}`
	url := "http://" + s.address + "/key/release"
	for name, command := range map[string][]string{
		"curl -d":              {"curl", "-sS", "-d", body, url},
		"curl, trailing slash": {"curl", "-sS", "-d", body, url + "/"},
		"curl --json":          {"curl", "-sS", "--json", body, url},
		"wget":                 {"wget", "-q", "-O", "-", "--post-data=" + body, url},
		"python3": {"python3", "-c", "import sys,urllib.request as r; print(r.urlopen(sys.argv[1],data=sys.argv[2].encode()).read().decode())",
			url, body},
		"node": {"node", "-e", "fetch(process.argv[1],{method:'POST',body:process.argv[2]}).then(async a=>{console.log(await a.text())})",
			url, body},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skipf("%s is not installed", command[0])
			}
			process := exec.CommandContext(t.Context(), command[0], command[1:]...)
			out, err := process.CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), `{"key":"{`) {
				t.Errorf("%v: %.300s", err, out)
			}
		})
	}
}
