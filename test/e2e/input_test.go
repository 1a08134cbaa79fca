package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
)

// goodBodies are requests that succeed. Each hostile request below is one of them with
// one fault.
func goodBodies(l *lab) map[string]map[string]string {
	data := base64.StdEncoding.EncodeToString([]byte(`{"keys":[]}`))
	return map[string]map[string]string{
		api.RouteRaw:      {"runtime_data": data},
		api.RouteCombined: {"runtime_data": data},
		api.RouteMAA:      {"runtime_data": data, "maa_endpoint": l.cloud.AttestationHost()},
		api.RouteRelease: {"maa_endpoint": l.cloud.AttestationHost(), "akv_endpoint": l.vault, "kid": "k",
			"access_token": l.access},
	}
}

// with returns a copy of body with the member set.
func with(body map[string]string, member, value string) map[string]string {
	changed := maps.Clone(body)
	changed[member] = value
	return changed
}

// jsonOf returns the JSON of a body.
func jsonOf(body map[string]string) string { return string(must(json.Marshal(body))) }

// reply is an answer as an HTTP/1.1 client reads it.
type reply struct {
	status int
	header http.Header
	body   []byte
	code   api.Code
}

// client sends requests on its own connection, byte for byte as given.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, s *sidecar) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2*requestTimeout + answerSlack))
	return &client{conn, bufio.NewReader(conn)}
}

// send ignores errors, because the other side may hang up.
func (c *client) send(raw string) { _, _ = io.WriteString(c.conn, raw) }

// receive reads one answer. The method decides whether it has a body.
func (c *client) receive(method string) (reply, error) {
	response, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	r := reply{status: response.StatusCode, header: response.Header, body: body}
	var refused api.Error
	if json.Unmarshal(body, &refused) == nil {
		r.code = refused.Code
	}
	return r, err
}

// ask sends one request on a new connection.
func ask(t *testing.T, s *sidecar, raw string) reply {
	t.Helper()
	c := dial(t, s)
	c.send(raw)
	method, _, _ := strings.Cut(raw, " ")
	r, err := c.receive(method)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return r
}

// post returns a plain request. Headers are whole lines without line breaks.
func post(path, body string, headers ...string) string {
	return message("POST", path, body, append([]string{"Host: localhost", "Content-Type: application/json"}, headers...)...)
}

func message(method, path, body string, headers ...string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\n%s\r\nContent-Length: %d\r\n\r\n%s", method, path, strings.Join(headers, "\r\n"), len(body), body)
}

// refusedAs checks that an answer is a row of the error table and nothing else.
func (r reply) refusedAs(t *testing.T, code api.Code, status int) {
	t.Helper()
	var fields map[string]string
	if err := json.Unmarshal(r.body, &fields); err != nil && len(r.body) > 0 {
		t.Errorf("status %d, the body is not an object of strings: %.300q", r.status, r.body)
		return
	}
	switch {
	case r.status != status || r.code != code && len(r.body) > 0:
		t.Errorf("got %d %q (%s), want %d %q", r.status, r.code, fields["error"], status, code)
	case len(r.body) > 0 && (len(fields) != 3 || fields["error"] == "" || fields["request_id"] == "" || fields["request_id"] != r.header.Get("X-Request-Id")):
		t.Errorf("the body does not have exactly error, code and request_id, or one is empty: %.300q", r.body)
	case !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") || r.header.Get("Cache-Control") != "no-store":
		t.Errorf("the headers are %v", r.header)
	case len(r.body) > 4<<10:
		t.Errorf("a refusal of %d bytes", len(r.body))
	}
}

// inputLab has a sidecar that reuses its attested key: skr refuses the requests of these
// tests before the key matters.
func inputLab(t *testing.T) (*lab, *sidecar) {
	t.Helper()
	l := newLab(t, emulator.Config{})
	return l, l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=1h").ready(t)
}

// TestGoodInput ensures that the cases of the tables below fail for the reason that they
// name, and not for another.
func TestGoodInput(t *testing.T) {
	t.Parallel()
	l, s := inputLab(t)
	for route, body := range goodBodies(l) {
		text := jsonOf(body)
		for name, raw := range map[string]string{
			"plain":                  post(route, text),
			"no content type":        message("POST", route, text, "Host: localhost"),
			"type of curl -d":        message("POST", route, text, "Host: localhost", "Content-Type: application/x-www-form-urlencoded"),
			"charset":                message("POST", route, text, "Host: localhost", "Content-Type: Application/JSON; charset=utf-8"),
			"white space":            post(route, " \r\n\t"+text+"\n"),
			"escaped members":        post(route, strings.Replace(text, `"kid"`, `"\u006bid"`, 1)),
			"IPv4 host":              message("POST", route, text, "Host: 127.0.0.1:1"),
			"IPv6 host":              message("POST", route, text, "Host: [::1]"),
			"forwarded port":         message("POST", route, text, "Host: LOCALHOST:65535"),
			"query":                  post(route+"?a=b", text),
			"absolute form":          post("http://"+s.address+route, text),
			"HTTP/1.0":               strings.Replace(post(route, text), "HTTP/1.1", "HTTP/1.0", 1),
			"expect":                 post(route, text, "Expect: 100-continue"),
			"chunked":                chunked(route, text, 7),
			"one byte a chunk":       chunked(route, text, 1),
			"text/plain":             message("POST", route, text, "Host: localhost", "Content-Type: text/plain; charset=utf-8"),
			"any type":               message("POST", route, text, "Host: localhost", "Content-Type: application/xml"),
			"malformed type":         message("POST", route, text, "Host: localhost", "Content-Type: application/json;;"),
			"identity":               post(route, text, "Content-Encoding: identity"),
			"fetch by a server":      post(route, text, "Sec-Fetch-Mode: cors"),
			"typed in a browser":     post(route, text, "Sec-Fetch-Site: none"),
			"slash":                  post(route+"/", text),
			"HTTP/1.0, no host":      fmt.Sprintf("POST %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", route, len(text), text),
			"any address":            message("POST", route, text, "Host: 0.0.0.0:8080"),
			"any IPv6 address":       message("POST", route, text, "Host: [::]:8080"),
			"other loopback":         message("POST", route, text, "Host: 127.0.0.2"),
			"mapped address":         message("POST", route, text, "Host: [::ffff:127.0.0.1]:1"),
			"name with a dot":        message("POST", route, text, "Host: localhosT."),
			"subdomain of localhost": message("POST", route, text, "Host: skr.localhost:8080"),
			"null means absent":      post(route, strings.Replace(text, `"access_token":"`+l.access+`"`, `"access_token":null,"alias":null`, 1)),
			"a hundred headers":      post(route, text, strings.TrimSuffix(strings.Repeat("X-A: b\r\n", 100), "\r\n")),
		} {
			t.Run(route+"/"+name, func(t *testing.T) {
				c := dial(t, s)
				c.send(raw)
				r, err := c.receive("POST")
				if err == nil && r.status == http.StatusContinue {
					r, err = c.receive("POST")
				}
				if err != nil || r.status != http.StatusOK || r.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%v, status %d: %.300s", err, r.status, r.body)
				}
			})
		}
	}
}

func chunked(route, body string, size int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", route)
	for chunk := range slices.Chunk([]byte(body), size) {
		fmt.Fprintf(&text, "%x\r\n%s\r\n", len(chunk), chunk)
	}
	return text.String() + "0\r\n\r\n"
}

// TestHostileBodies: two parsers must not read one body differently.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	l, s := inputLab(t)
	for route, good := range goodBodies(l) {
		bodies := map[string]string{
			"nothing": "", "white space": " \n", "null": "null", "array": "[]", "text": `"x"`, "number": "1", "true": "true", "empty object": "{}",
			"byte order mark": "\ufeff" + jsonOf(good), "two values": jsonOf(good) + jsonOf(good), "rubbish after": jsonOf(good) + "x",
			"brace after": jsonOf(good) + "}", "NUL after": jsonOf(good) + "\x00", "cut off": jsonOf(good)[:len(jsonOf(good))-1],
			"comment": "/**/" + jsonOf(good), "comma": strings.TrimSuffix(jsonOf(good), "}") + ",}", "single quotes": strings.ReplaceAll(jsonOf(good), `"`, `'`),
			"UTF-16": "\xff\xfe{\x00}\x00", "array around": "[" + jsonOf(good) + "]", "object around": `{"request":` + jsonOf(good) + "}",
			"form": "kid=k&maa_endpoint=x", "unknown member": jsonOf(with(good, "maa_token", "x")), "empty member": jsonOf(with(good, "", "x")),
			"prototype": jsonOf(with(good, "__proto__", "x")), "member with NUL": jsonOf(with(good, "kid\x00", "x")),
			"deep array": strings.Repeat("[", 200_000), "deep object": strings.Repeat(`{"a":`, 50_000),
			"a megabyte": jsonOf(with(good, "runtime_data", strings.Repeat("A", 1<<20))), "a megabyte of space": strings.Repeat(" ", 1<<20) + jsonOf(good),
			"many members": "{" + strings.Repeat(`"x":"",`, 30_000) + strings.TrimPrefix(jsonOf(good), "{"),
			"huge number":  `{"runtime_data":` + strings.Repeat("9", 200_000) + "}",
		}
		for member, value := range good {
			quoted := string(must(json.Marshal(value)))
			rest := strings.TrimPrefix(jsonOf(good), "{")
			bodies["duplicate "+member] = `{"` + member + `":` + quoted + `,` + rest
			bodies["duplicate escaped "+member] = `{"\u00` + fmt.Sprintf("%x", member[0]) + member[1:] + `":` + quoted + `,` + rest
			bodies["capitals "+member] = strings.Replace(jsonOf(good), member, strings.ToUpper(member), 1)
			bodies["Kelvin "+member] = strings.Replace(strings.Replace(jsonOf(good), `"kid"`, `"`+"\u212a"+`id"`, 1), `time_`, "ti\u0261me_", 1)
			for kind, other := range map[string]string{
				"null": "null", "number": "1", "true": "true", "array": "[" + quoted + "]", "object": `{"a":` + quoted + "}",
				"deep": strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
			} {
				if kind != "null" || member != "access_token" { // null means absent, and this member is optional
					bodies[kind+" "+member] = strings.Replace(jsonOf(good), quoted, other, 1)
				}
			}
			bodies["bad UTF-8 "+member] = strings.Replace(jsonOf(good), quoted, "\"\xff\xfe\"", 1)
			bodies["half a surrogate "+member] = strings.Replace(jsonOf(good), quoted, `"\ud800"`, 1)
			bodies["control character "+member] = strings.Replace(jsonOf(good), quoted, "\"a\x01\"", 1)
			if member != "access_token" {
				bodies["without "+member] = jsonOf(without(good, member))
				bodies["empty "+member] = jsonOf(with(good, member, ""))
			}
		}
		if route != api.RouteRelease && route != api.RouteMAA {
			delete(bodies, "Kelvin kid")
		}
		for _, name := range slices.Sorted(maps.Keys(bodies)) {
			t.Run(route+"/"+name, func(t *testing.T) {
				ask(t, s, post(route, bodies[name])).refusedAs(t, api.BadRequest, http.StatusBadRequest)
			})
		}
	}
	inspectAlive(t, l, s)
}

func without(body map[string]string, member string) map[string]string {
	changed := maps.Clone(body)
	delete(changed, member)
	return changed
}

// inspectAlive checks that a good release succeeds after all bad requests.
func inspectAlive(t *testing.T, l *lab, s *sidecar) {
	t.Helper()
	l.expect(t, s, l.request(), served)
	l.inspect(t, s, 0)
}

// TestHostileValues: strings that become bytes, hosts, paths and headers.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	l, s := inputLab(t)
	good := goodBodies(l)
	refuse := func(route, member, value string, want api.Code) {
		t.Helper()
		t.Run(fmt.Sprintf("%s/%s/%.40q", route, member, value), func(t *testing.T) {
			r := ask(t, s, post(route, jsonOf(with(good[route], member, value))))
			r.refusedAs(t, want, want.HTTPStatus())
			if len(value) > 300 && bytes.Contains(r.body, []byte(value[:300])) {
				t.Errorf("a long value is repeated: %.400s", r.body)
			}
		})
	}
	for _, route := range []string{api.RouteRaw, api.RouteCombined, api.RouteMAA} {
		for _, data := range []string{"!", "e", "e3=", " e30=", "e30= ", "e30==", "e30====", "=", "====", "\r\n", "e30=e30=", "é", "e30\x00=", "{}"} {
			refuse(route, "runtime_data", data, api.BadRequest)
		}
	}
	for _, data := range []string{"[]", "1", "null", `"x"`, "", " ", "{", "{}{}", `{"a":1,"a":2}{}`, `[{"a":1,"a":2}]`, "\xff", "not JSON"} {
		refuse(api.RouteMAA, "runtime_data", base64.StdEncoding.EncodeToString([]byte(data)), api.BadRequest)
	}
	maa, vault := l.cloud.AttestationHost(), l.vault
	for member, place := range map[string]string{"maa_endpoint": maa, "akv_endpoint": vault} {
		name, port, _ := strings.Cut(place, ":")
		domain := name[strings.Index(name, ".")+1:]
		service := name[max(strings.Index(name, "attest."), strings.Index(name, "vault.")):]
		for _, host := range []string{
			"u@" + place, "u:p@" + place, "evil.example@" + place, place + "@evil.example", place + "//", place + "/x", place + "/../x",
			place + "?x", place + "#x", place + "\\", "//" + place,
			"http://" + place, "HTTP://" + place, "https://https://" + place, "https:/" + place, "https://" + place + "//",
			"https://" + place + "/x", "ftp://" + place, "https://", "unix:/x",
			name + ":", name + ":0", name + ":65536", name + ":+" + port, name + ":0" + port, name + ":" + port + ":1", name + ": " + port,
			":" + port, name + "%3a" + port,
			name + ".:" + port, "." + place, name + "..:" + port, strings.Replace(place, ".", "..", 1), strings.Replace(place, ".", "。", 1),
			"ünï." + domain + ":" + port, "xn--e1afmkfd." + domain + ":" + port, "a_b." + domain + ":" + port, "-a." + domain + ":" + port,
			"a-." + domain + ":" + port, "*." + domain + ":" + port,
			" " + place, place + " ", place + "\n", "a\r\nb." + domain, "a\x00." + domain + ":" + port, "a%00." + domain + ":" + port, "a%2e" + domain + ":" + port,
			"127.0.0.1", "127.0.0.1:" + port, "[::1]:" + port, "::1", "169.254.169.254", "::ffff:127.0.0.1", "127.0.0.1." + domain + ":" + port + "\t",
			strings.Repeat("a", 64) + "." + domain + ":" + port, strings.Repeat("a.", 200) + domain + ":" + port, strings.Repeat("!", 100_000),
			l.access, `"` + place, "{" + place + "}", "${jndi:ldap://x}", "a,b." + domain, strings.Replace(place, ".localhost", ".localhost\u0301", 1),
		} {
			refuse(api.RouteRelease, member, host, api.BadRequest)
		}
		for _, host := range []string{
			"evil.example", "evil.example:443", name, name + ":1", name + ":443", service + ":" + port, "localhost:" + port, "localhost", "evil" + service + ":" + port,
			name + ".evil.example:" + port, "a." + service + ".example:" + port, "2130706433", "0x7f000001", "0177.1:" + port,
			"metadata.google.internal", "kubernetes.default.svc",
		} {
			refuse(api.RouteRelease, member, host, api.EndpointNotAllowed)
		}
	}
	refuse(api.RouteRelease, "maa_endpoint", vault, api.EndpointNotAllowed)
	refuse(api.RouteRelease, "akv_endpoint", maa, api.EndpointNotAllowed)
	for _, kid := range []string{
		"../secrets/s", "..", ".", "/", "//", "/k", "k//", "k/..", "k/../j", "k/" + strings.Repeat("0", 65), "k/0_1", "k/0-1", "k/٠",
		"k/" + strings.Repeat("0", 32) + "//",
		"k/" + strings.Repeat("0", 32) + "/release", "%2e%2e", "%2e%2e%2fsecrets", "k%2f..", "k%00", "k\x00", "k?x", "k#x", "k;x", "k x", " k", "k\n",
		"k\r\nX: y", "k\\", "k:1", "k@v", "ķ", "k.", "a_b", "k&x", "https://other." + vault + "/keys/k", "https://" + vault + "/secrets/k",
		strings.Repeat("k", 257), strings.Repeat("k", 100_000), l.access,
	} {
		refuse(api.RouteRelease, "kid", kid, api.BadRequest)
	}
	for _, kid := range []string{strings.Repeat("k", 127), "k/" + strings.Repeat("0", 32), "k/" + strings.Repeat("0", 32) + "/", "absent", "absent/"} {
		refuse(api.RouteRelease, "kid", kid, api.KeyNotFound)
	}
	refuse(api.RouteRelease, "kid", strings.Repeat("k", 128), api.ReleaseRejected) // the vault's own limit
	for _, token := range []string{
		l.access + "\r\nX-Evil: 1", l.access + "\n", "\n" + l.access, l.access + " ", "Bearer " + l.access, " ", "\x00", "a\x00b", "ü", "a,b", "a;b", `a"b`,
		"=", "==a", "\t",
	} {
		refuse(api.RouteRelease, "access_token", token, api.BadRequest)
	}
	for _, token := range []string{"a", l.access + "=", l.access[:len(l.access)-2], "a.b.c", strings.Repeat("a", 60_000), strings.Repeat("a", 240_000)} {
		refuse(api.RouteRelease, "access_token", token, api.ReleaseRejected)
	}
	inspectAlive(t, l, s)
}

// TestHostileMessages: requests that no known client sends.
func TestHostileMessages(t *testing.T) {
	t.Parallel()
	l, s := inputLab(t)
	const badRequest, notAllowed = http.StatusBadRequest, http.StatusForbidden
	type want struct {
		raw    string
		code   api.Code
		status int
	}
	cases := map[string]want{}
	for route, body := range goodBodies(l) {
		text := jsonOf(body)
		add := func(name, raw string, code api.Code, status int) { cases[route+" "+name] = want{raw, code, status} }
		for _, host := range []string{
			"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io", "127.1", "local-host", "2130706433", "localhost..", "[fe80::1]",
			"169.254.169.254", "10.0.0.1", "skr", "skr.default.svc", "[::1%25lo]", "::1%lo", "evil.example.localhost.evil.example",
		} {
			add("host "+host, message("POST", route, text, "Host: "+host), api.CallerNotAllowed, notAllowed)
		}
		for _, line := range []string{
			"Origin: https://evil.example", "Origin: null", "Origin: http://localhost.evil.example", "Origin: http://localhost:1",
			"Origin: http://localhost@evil.example", "Origin: ", "Origin: file://",
			"Origin: http://localhost", "Origin: http://" + s.address, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: ",
			"Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site",
			"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: anything", "Origin: http://localhost\r\nOrigin: https://evil.example",
		} {
			add(line, post(route, text, line), api.CallerNotAllowed, notAllowed)
			add(line+" as a form", message("POST", route, text, "Host: localhost", "Content-Type: text/plain", line), api.CallerNotAllowed, notAllowed)
		}
		add("absolute form with a foreign host", post("http://evil.example"+route, text), api.CallerNotAllowed, notAllowed)
		for _, encoding := range []string{"gzip", "br", "identity, gzip"} {
			add("encoding "+encoding, post(route, text, "Content-Encoding: "+encoding), api.BadRequest, badRequest)
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "POSTS", "PROPFIND", "X-" + strings.Repeat("A", 1000)} {
			if route == api.RouteRelease && method == "GET" { // a request by query
				add("method GET", message(method, route, "", "Host: localhost"), api.BadRequest, badRequest)
				continue
			}
			add("method "+method, message(method, route, text, "Host: localhost"), api.BadRequest, http.StatusMethodNotAllowed)
		}
		add("bad chunk", "POST "+route+" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", api.BadRequest, badRequest)
		add("endless chunk size", "POST "+route+" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("0", 100_000),
			api.BadRequest, badRequest)
		add("endless chunk extension", "POST "+route+" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;"+strings.Repeat("a", 100_000),
			api.BadRequest, badRequest)
		add("chunks beyond the limit", chunked(route, strings.Repeat(" ", 300<<10)+text, 64<<10), api.BadRequest, badRequest)
		add("no length", "POST "+route+" HTTP/1.1\r\nHost: localhost\r\n\r\n", api.BadRequest, badRequest)
		for _, path := range []string{
			route + "//", "/" + route, strings.Replace(route[1:], "/", "//", 1), strings.ToUpper(route), route + "%00", route + "%20", route + ";a=b",
			route + "/..", "/x/.." + route, "/." + route, route + ".json",
			"/%2e" + route, strings.Replace(route[1:], "/", "%2f", 1), strings.Replace(route[1:], "/", "%2F", 1),
			"/%" + fmt.Sprintf("%x", route[1]) + route[2:], strings.Replace(route, "/", `\`, 2), "/v1" + route, route + "%0d%0aX:y",
		} {
			if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, `\`) {
				path = "/" + path
			}
			if strings.HasPrefix(path, `\`) {
				path = "/" + path
			}
			add("path "+path, post(path, text), api.BadRequest, http.StatusNotFound)
		}
	}
	for _, path := range []string{
		"/", "*", "/metrics", "/debug/pprof/", "/debug/vars", "/healthz", "/.env", "/key", "/attest", "/key/release/k",
		"/status//", "//status", "/status%2f", "/" + strings.Repeat("a", 8000),
	} {
		method := "GET"
		if path == "*" {
			method = "OPTIONS"
		}
		cases["unknown "+path] = want{message(method, path, "", "Host: localhost"), api.BadRequest, http.StatusNotFound}
	}
	cases["POST /status"] = want{post("/status", ""), api.BadRequest, http.StatusMethodNotAllowed}
	cases["HEAD /status"] = want{message("HEAD", "/status", "", "Host: localhost"), api.BadRequest, http.StatusMethodNotAllowed}
	cases["GET /status with a foreign host"] = want{message("GET", "/status", "", "Host: evil.example"), api.CallerNotAllowed, notAllowed}
	cases["CONNECT"] = want{message("CONNECT", "localhost:80", "", "Host: localhost"), api.BadRequest, http.StatusNotFound}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			c := cases[name]
			r := ask(t, s, c.raw)
			r.refusedAs(t, c.code, c.status)
			if r.status == http.StatusMethodNotAllowed && r.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	inspectAlive(t, l, s)
}

// TestBrokenHTTP: net/http refuses these requests before skr sees them. The answer has no
// JSON but a 4xx or 5xx status, or there is no answer, and the connection ends.
func TestBrokenHTTP(t *testing.T) {
	t.Parallel()
	l, s := inputLab(t)
	text := jsonOf(goodBodies(l)[api.RouteRelease])
	for name, raw := range map[string]string{
		"nothing":               "\r\n\r\n\r\n",
		"binary":                "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", // TLS
		"HTTP/0.9":              "GET /status\r\n\r\n",
		"HTTP/2":                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"HTTP/3.0":              "GET /status HTTP/3.0\r\nHost: localhost\r\n\r\n",
		"HTTP/1.11":             "GET /status HTTP/1.11\r\nHost: localhost\r\n\r\n",
		"no host":               "POST /key/release HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"two hosts":             post("/key/release", text, "Host: localhost"),
		"host with user":        message("POST", "/key/release", text, "Host: localhost@evil.example"),
		"host with space":       message("POST", "/key/release", text, "Host: local host"),
		"two lengths":           post("/key/release", text, "Content-Length: 1"),
		"negative length":       "POST /key/release HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
		"length with plus":      "POST /key/release HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\nx",
		"length list":           "POST /key/release HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 2\r\n\r\nx",
		"transfer encoding":     "POST /key/release HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"space before colon":    "POST /key/release HTTP/1.1\r\nHost : localhost\r\n\r\n",
		"header without colon":  "POST /key/release HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n",
		"header with NUL":       "POST /key/release HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
		"header with bare CR":   "POST /key/release HTTP/1.1\r\nHost: localhost\r\nX: a\rY: b\r\n\r\n",
		"huge header":           post("/key/release", text, "X: "+strings.Repeat("a", 64<<10)),
		"many headers":          post("/key/release", text, strings.TrimSuffix(strings.Repeat("X-A: b\r\n", 20_000), "\r\n")),
		"huge path":             "GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"path with percent":     "GET /% HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"path with a control":   "GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"path without a slash":  "GET status HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"method with a control": "G\x01T /status HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"unknown expectation":   post("/key/release", text, "Expect: 200-ok"),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s)
			c.send(raw)
			_ = c.conn.(*net.TCPConn).CloseWrite()
			r, err := c.receive("POST")
			if err == nil && (r.status < 400 || bytes.Contains(r.body, []byte(`"key"`))) {
				t.Errorf("answered with %d: %.300q", r.status, r.body)
			}
			if rest, err := io.ReadAll(c.in); err == nil && len(rest) > 0 {
				t.Errorf("a second answer: %.300q", rest)
			}
		})
	}
	inspectAlive(t, l, s)
}

// TestConnections: what one connection carries besides one request.
func TestConnections(t *testing.T) {
	t.Parallel()
	l, s := inputLab(t)
	good := post(api.RouteRaw, jsonOf(goodBodies(l)[api.RouteRaw]))
	t.Run("pipelining", func(t *testing.T) {
		c := dial(t, s)
		c.send(good + post(api.RouteRaw, "{") + message("GET", "/status", "", "Host: localhost") + message("POST", "/status", "", "Host: evil.example") + good)
		for i, want := range []int{200, 400, 200, 403, 200} {
			if r, err := c.receive("POST"); err != nil || r.status != want {
				t.Fatalf("answer %d: %v, status %d, want %d", i, err, r.status, want)
			}
		}
	})
	// skr must not parse an unread, refused body as a request.
	for name, head := range map[string]string{
		"unknown path": "/nothing", "wrong host": api.RouteRaw + "\x00evil", "too large": api.RouteRaw + "\x00large",
	} {
		t.Run("smuggling after "+name, func(t *testing.T) {
			path, kind, _ := strings.Cut(head, "\x00")
			host, body := "localhost", good
			switch kind {
			case "evil":
				host = "evil.example"
			case "large":
				body = strings.Repeat(" ", 600<<10) + good
			}
			c := dial(t, s)
			c.send(message("POST", path, body, "Host: "+host))
			_ = c.conn.(*net.TCPConn).CloseWrite()
			if r, err := c.receive("POST"); err == nil && r.status < 400 {
				t.Errorf("status %d", r.status)
			}
			if r, err := c.receive("POST"); err == nil {
				t.Errorf("the body was answered as a request: %d %.200s", r.status, r.body)
			}
		})
	}
	t.Run("request id", func(t *testing.T) {
		for given, kept := range map[string]bool{
			"abc-123": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "a b": false, "a\"b": false, "é": false, "": false, "a_b": false,
		} {
			r := ask(t, s, post(api.RouteRaw, "{", "X-Request-Id: "+given))
			r.refusedAs(t, api.BadRequest, http.StatusBadRequest)
			if id := r.header.Get("X-Request-Id"); (id == given) != kept || len(id) > 64 {
				t.Errorf("X-Request-Id %q became %q", given, id)
			}
		}
	})
	t.Run("caller disconnects", func(t *testing.T) {
		for _, part := range []string{good[:10], good[:len(good)-3], good} {
			c := dial(t, s)
			c.send(part)
			_ = c.conn.Close()
		}
	})
	var waiting sync.WaitGroup
	for name, c := range map[string]struct {
		sent   string
		code   api.Code
		status int
		within time.Duration
	}{
		"half a body": {good[:len(good)-5], api.Timeout, http.StatusGatewayTimeout, requestTimeout + answerSlack},
		"half a chunk": {"POST " + api.RouteRaw + " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
			api.Timeout, http.StatusGatewayTimeout, requestTimeout + answerSlack},
		// A refusal that does not need the body does not wait for it. It must also be
		// written before the time for writing has passed.
		"half a body to an unknown path": {strings.Replace(good[:len(good)-5], api.RouteRaw, "/nothing", 1), api.BadRequest, http.StatusNotFound, answerSlack},
		"half a body to a foreign host": {strings.Replace(good[:len(good)-5], "Host: localhost", "Host: evil.example", 1),
			api.CallerNotAllowed, http.StatusForbidden, answerSlack},
		"half a compressed body": {strings.Replace(good[:len(good)-5], "Host:", "Content-Encoding: gzip\r\nHost:", 1),
			api.BadRequest, http.StatusBadRequest, answerSlack},
		"half a body in another method": {strings.Replace(good[:len(good)-5], "POST", "PUT", 1), api.BadRequest, http.StatusMethodNotAllowed, answerSlack},
	} {
		waiting.Go(func() {
			t.Run(name, func(t *testing.T) {
				begin := time.Now()
				ask(t, s, c.sent).refusedAs(t, c.code, c.status)
				if took := time.Since(begin); took > c.within {
					t.Errorf("answered after %v, want at most %v", took, c.within)
				}
			})
		})
	}
	waiting.Wait()
	inspectAlive(t, l, s)
}

// TestSlowCallers: callers that send nothing do not block the status for others. They keep
// their places no longer than a request may take.
func TestSlowCallers(t *testing.T) {
	l := newLab(t, emulator.Config{})
	s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=1h", "SKR_REQUEST_TIMEOUT=10s").ready(t)
	good := post(api.RouteRelease, jsonOf(goodBodies(l)[api.RouteRelease]))
	slow := make([]*client, 200)
	for i := range slow {
		slow[i] = dial(t, s)
		slow[i].send(good[:len(good)-1-i%100])
	}
	for range 20 {
		begin := time.Now()
		if r := ask(t, s, message("GET", "/status", "", "Host: localhost")); r.status != http.StatusOK || time.Since(begin) > time.Second {
			t.Errorf("status %d after %v while %d callers are slow", r.status, time.Since(begin), len(slow))
		}
	}
	counts := map[int]int{}
	for i, c := range slow {
		r, err := c.receive("POST")
		if err != nil {
			t.Errorf("caller %d got no answer: %v", i, err)
			continue
		}
		counts[r.status]++
		if r.status == http.StatusServiceUnavailable {
			r.refusedAs(t, api.Throttled, http.StatusServiceUnavailable)
		} else {
			r.refusedAs(t, api.Timeout, http.StatusGatewayTimeout)
		}
	}
	t.Logf("%d slow callers: answers %v", len(slow), counts)
	inspectAlive(t, l, s)
}

// TestBurst: more concurrent releases than skr has places for.
func TestBurst(t *testing.T) {
	l, s := inputLab(t)
	l.cloud.Faults().SetLatency(emulator.ServiceRelease, 100*time.Millisecond)
	good := post(api.RouteRelease, jsonOf(goodBodies(l)[api.RouteRelease]), "Connection: close")
	var released, throttled atomic.Int64
	var callers sync.WaitGroup
	for range 500 {
		callers.Go(func() {
			conn, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(4 * requestTimeout))
			c := &client{conn, bufio.NewReader(conn)}
			c.send(good)
			r, err := c.receive("POST")
			switch {
			case err != nil:
				t.Errorf("no answer: %v", err)
			case r.status == http.StatusOK && bytes.HasPrefix(r.body, []byte(`{"key":"{`)):
				released.Add(1)
			case r.status == http.StatusServiceUnavailable && r.code == api.Throttled && r.header.Get("Retry-After") != "":
				throttled.Add(1)
			default:
				t.Errorf("status %d: %.200s", r.status, r.body)
			}
		})
	}
	callers.Wait()
	t.Logf("500 releases at once: %d released, %d throttled", released.Load(), throttled.Load())
	if released.Load() == 0 {
		t.Error("nothing was released")
	}
	inspectAlive(t, l, s)
}
