package e2e

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"skr/api"
	"skr/test/emulator"
)

var update = flag.Bool("update", false, "write the table of docs/decisions/0004-drop-in.md instead of comparing it")

const (
	tableFile  = "../../docs/decisions/0004-drop-in.md"
	tableBegin = "<!-- made by `go test ./test/e2e -run TestDropInTable -update` -->\n"
	tableEnd   = "<!-- end -->\n"
	leastRows  = 60
)

// difference is a row of the table: a request, and what the reference sidecar answers,
// as its sources say (internal/httpginendpoints, pkg/skr, pkg/common, and gin's router
// and binding, at the version of December 2025).
type difference struct {
	request   string // for people
	raw       string
	reference int    // status; 0 where it depends on the service that is asked
	note      string // on the reference's answer
	why       string // ours is another; "" where it is not
}

const (
	ambiguous = "two readers of one body could disagree on what it asks for"
	pages     = "a web page sends it, and never a program"
	tokens    = "the pod's access token would go there"
	paths     = "the text becomes a path that is asked with the pod's access token"
	refuser   = "the status says who refused; the reference's 403 is for every cause"
	unbound   = "nobody could find in the token what the report is bound to"
	standard  = "a program that asks so gets a result from neither"
)

// differences are asked of a sidecar with an RSA key k, version VERSION, in the vault.
func differences(l *lab, version string) []difference {
	const data = "eyJrZXlzIjpbXX0="
	raw, release := `{"runtime_data":"`+data+`"}`, jsonOf(without(goodBodies(l)[api.RouteRelease], "access_token"))
	with := func(member, value string) string {
		return jsonOf(with(without(goodBodies(l)[api.RouteRelease], "access_token"), member, value))
	}
	token := func(text string) string {
		return jsonOf(map[string]string{"maa_endpoint": l.cloud.AttestationHost(), "runtime_data": text})
	}
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	get := func(path string, headers ...string) string {
		return message("GET", path, "", append([]string{"Host: localhost:8080"}, headers...)...)
	}
	of := func(host, kind string) string {
		return message("POST", api.RouteRaw, raw, "Host: "+host, "Content-Type: "+kind)
	}
	report := func(text string) string { return post(api.RouteRaw, `{"runtime_data":"`+text+`"}`) }
	rows := []difference{
		{"`GET /status`", get("/status"), 200, "", ""},
		{"`GET /status/`", get("/status/"), 301, "to `/status`", "not every client follows"},
		{"`HEAD /status`", message("HEAD", "/status", "", "Host: localhost"), 404, "", standard},
		{"`POST /status`", post("/status", "{}"), 404, "", standard},
		{"`GET /key/release`", get("/key/release"), 404, "", standard},
		{"`PUT /key/release`", message("PUT", api.RouteRelease, release, "Host: localhost"), 404, "", standard},
		{"`OPTIONS /key/release`", message("OPTIONS", api.RouteRelease, "", "Host: localhost"), 404, "", standard},
		{"`POST /unknown`", post("/unknown", "{}"), 404, "a text", ""},
		{"`POST //key/release`", post("//key/release", release), 404, "", ""},
		{"`POST /KEY/release`", post("/KEY/release", release), 404, "", ""},
		{"`POST /key%2Frelease`", post("/key%2Frelease", release), 200, "", "a filter in front compares the path as it is sent"},
		{"`POST /key/release/`", post("/key/release/", release), 307, "to `/key/release`", "`curl -d` does not follow"},
		{"`POST /key/release?a=b`", post("/key/release?a=b", release), 200, "", ""},

		{"a report", post(api.RouteRaw, raw), 200, "also without a device, then made up", ""},
		{"report and endorsements", post(api.RouteCombined, raw), 200, "", ""},
		{"a token", post(api.RouteMAA, token(data)), 200, "not verified", ""},
		{"a key", post(api.RouteRelease, release), 200, "", ""},
		{"a key by its version", post(api.RouteRelease, with("kid", "k/"+version)), 200, "", ""},
		{"a key with an access token", post(api.RouteRelease, with("access_token", l.access)), 200, "", ""},

		{"no content type", message("POST", api.RouteRaw, raw, "Host: localhost"), 200, "", ""},
		{"`text/plain; charset=utf-8`", of("localhost", "text/plain; charset=utf-8"), 200, "", ""},
		{"`application/x-www-form-urlencoded`", of("localhost", "application/x-www-form-urlencoded"), 200, "", ""},
		{"`application/json; charset=utf-8`", of("localhost", "application/json; charset=utf-8"), 200, "", ""},
		{"`Content-Encoding: gzip`, a body that is not", post(api.RouteRaw, raw, "Content-Encoding: gzip"), 200, "", "another reader would see another body"},
		{"`Content-Encoding: identity`", post(api.RouteRaw, raw, "Content-Encoding: identity"), 200, "", ""},
		{"chunked", chunked(api.RouteRaw, raw, 7), 200, "", ""},
		{"a body of 300 KiB", post(api.RouteRaw, raw+strings.Repeat(" ", 300<<10)), 200, "no limit", "a caller could take all memory"},

		{"`Host: 127.0.0.1:8080`", of("127.0.0.1:8080", ""), 200, "", ""},
		{"`Host: [::1]:8080`", of("[::1]:8080", ""), 200, "", ""},
		{"`Host: 0.0.0.0:8080`", of("0.0.0.0:8080", ""), 200, "", ""},
		{"`Host: 127.0.0.2`", of("127.0.0.2", ""), 200, "", ""},
		{"`Host: skr.localhost:8080`", of("skr.localhost:8080", ""), 200, "", ""},
		{"HTTP/1.0 without `Host`", "GET /status HTTP/1.0\r\n\r\n", 200, "", ""},
		{"`Host: evil.example`", of("evil.example", ""), 200, "", "DNS rebinding"},
		{"`Host: 10.0.0.7:8080`", of("10.0.0.7:8080", ""), 200, "", "keys are not for other machines, which a forwarder would let in"},
		{"`Sec-Fetch-Mode: cors`", post(api.RouteRaw, raw, "Sec-Fetch-Mode: cors"), 200, "", ""},
		{"`Sec-Fetch-Site: none`", get("/status", "Sec-Fetch-Site: none"), 200, "", ""},
		{"`Sec-Fetch-Site: cross-site`", post(api.RouteRaw, raw, "Sec-Fetch-Site: cross-site"), 200, "", pages},
		{"`Sec-Fetch-Site: same-origin`", post(api.RouteRaw, raw, "Sec-Fetch-Site: same-origin"), 200, "", pages},
		{"`Origin: https://evil.example`", post(api.RouteRaw, raw, "Origin: https://evil.example"), 200, "", pages},
		{"`Origin: http://localhost:8080`", post(api.RouteRaw, raw, "Origin: http://localhost:8080"), 200, "", pages + "; skr serves none"},
		{"`Origin: null`", post(api.RouteRaw, raw, "Origin: null"), 200, "", pages},

		{"no body", post(api.RouteRaw, ""), 400, "", ""},
		{"`[]`", post(api.RouteRaw, "[]"), 400, "", ""},
		{"not JSON", post(api.RouteRaw, "runtime_data=x"), 400, "", ""},
		{"a byte order mark", post(api.RouteRaw, "\ufeff"+raw), 400, "", ""},
		{"something behind the object", post(api.RouteRaw, raw+"{}"), 200, "", ambiguous},
		{"a member twice", post(api.RouteRaw, `{"runtime_data":"AAAA",`+raw[1:]), 200, "the last", ambiguous},
		{"a member in other capitals", post(api.RouteRaw, strings.Replace(raw, "runtime_data", "Runtime_Data", 1)), 200, "", ambiguous},
		{"an unknown member", post(api.RouteRelease, with("acess_token", "x")), 200, "", "a misspelt `access_token` would ask with the pod's identity"},
		{"`null` for an optional member", post(api.RouteRelease, strings.Replace(release, "{", `{"access_token":null,`, 1)), 200, "", ""},
		{"`null` for a member of another route", post(api.RouteRaw, strings.Replace(raw, "{", `{"maa_endpoint":null,"kid":null,`, 1)), 200, "", ""},
		{"`null` for a needed member", post(api.RouteRaw, `{"runtime_data":null}`), 400, "", ""},
		{"an empty access token", post(api.RouteRelease, with("access_token", "")), 200, "", ""},
		{"an empty needed member", post(api.RouteRelease, with("kid", "")), 400, "", ""},
		{"a number for a text", post(api.RouteRaw, `{"runtime_data":1}`), 400, "", ""},
		{"a text that is not UTF-8", post(api.RouteRelease, strings.Replace(release, `"k"`, "\"k\xff\"", 1)), 403, "asked with U+FFFD", "it is no name that anybody has written"},

		{"base64 with padding", report("aGVsbG8="), 200, "", ""},
		{"base64 without padding", report("aGVsbG8"), 400, "", "one meaning, and clients write it"},
		{"base64 of the URL alphabet", report("-_-_"), 400, "", "one meaning, and the reference's own tests write it"},
		{"base64 with line ends", report(`aGVs\r\nbG8=\r\n`), 200, "", ""},
		{"base64 with unused bits", report("aGVsbG9="), 200, "", ""},
		{"base64 with a space", report("aGVs bG8="), 400, "", ""},
		{"runtime data of no bytes", report(`\n`), 200, "", "a report that is bound to nothing"},
		{"a token over 150 KiB", post(api.RouteMAA, token(encoded(`{"a":"`+strings.Repeat("x", 150<<10)+`"}`))), 0, "", ""},
		{"a token over a member that is there twice", post(api.RouteMAA, token(encoded(`{"a":1,"a":2}`))), 0, "", ""},
		{"a token over what is no JSON", post(api.RouteMAA, token(encoded("hello"))), 403, "and a second object in the body", unbound},
		{"a token over a list", post(api.RouteMAA, token(encoded("[]"))), 0, "", unbound},

		{"`https://HOST`", post(api.RouteRelease, with("akv_endpoint", "https://"+l.vault)), 403, "", "people copy it so"},
		{"`HOST/`", post(api.RouteRelease, with("akv_endpoint", l.vault+"/")), 403, "", "people copy it so"},
		{"`https://HOST/`", post(api.RouteMAA, strings.Replace(token(data), l.cloud.AttestationHost(), "https://"+l.cloud.AttestationHost()+"/", 1)), 403, "", "people copy it so"},
		{"`HOST` in upper case", post(api.RouteRelease, with("akv_endpoint", strings.ToUpper(l.vault))), 200, "", ""},
		{"`http://HOST`", post(api.RouteRelease, with("akv_endpoint", "http://"+l.vault)), 403, "", refuser},
		{"`HOST/path`", post(api.RouteRelease, with("akv_endpoint", l.vault+"/x")), 403, "", paths},
		{"a host of somebody else as vault", post(api.RouteRelease, with("akv_endpoint", "evil.example")), 0, "which is sent the access token", tokens},
		{"a host of somebody else as authority", post(api.RouteRelease, with("maa_endpoint", "evil.example")), 0, "whose token the vault must refuse", "it could vouch for anything"},
		{"`169.254.169.254` as vault", post(api.RouteRelease, with("akv_endpoint", "169.254.169.254")), 403, "after it was asked", tokens},
		{"`kid` with a slash at its end", post(api.RouteRelease, with("kid", "k/")), 0, "", ""},
		{"`kid`, version and a slash", post(api.RouteRelease, with("kid", "k/"+version+"/")), 0, "", ""},
		{"`kid` `../secrets/s`", post(api.RouteRelease, with("kid", "../secrets/s")), 0, "", paths},
		{"`kid` `k?x`", post(api.RouteRelease, with("kid", "k?x")), 0, "", paths},
		{"`kid` of no key", post(api.RouteRelease, with("kid", "absent")), 403, "", refuser},
		{"an access token of somebody else", post(api.RouteRelease, with("access_token", "not-ours")), 403, "", ""},
		{"an access token with a line end", post(api.RouteRelease, with("access_token", l.access+"\n")), 403, "", refuser},
	}
	return rows
}

// TestDropInTable makes the table of docs/decisions/0004 from the answers of the real
// binary. Where they are not the reference's, the table must say why.
func TestDropInTable(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=1h").ready(t)
	key, err := s.client.ReleaseKey(t.Context(), l.request())
	if err != nil {
		t.Fatal(err)
	}
	rows := differences(l, key.ID[strings.LastIndex(key.ID, "/")+1:])
	var table bytes.Buffer
	table.WriteString("| request | reference | skr | why not the same |\n|---|---|---|---|\n")
	for _, row := range rows {
		ours := ask(t, s, row.raw)
		if (ours.status == row.reference) != (row.why == "") && row.reference != 0 {
			t.Errorf("%s: reference %d, ours %d (%s), reason %q", row.request, row.reference, ours.status, ours.body, row.why)
		}
		if row.reference == 0 && (ours.status == http.StatusOK) != (row.why == "") {
			t.Errorf("%s: ours %d (%s), reason %q", row.request, ours.status, ours.body, row.why)
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", row.request, row.referenceText(), answerText(ours), row.why)
	}
	if len(rows) < leastRows {
		t.Errorf("%d rows, want %d at least", len(rows), leastRows)
	}
	compareTable(t, table.String())
}

func (d difference) referenceText() string {
	status := fmt.Sprint(d.reference)
	if d.reference == 0 {
		status = "as the service answers"
	}
	return strings.TrimSuffix(status+", "+d.note, ", ")
}

// answerText is a status with the code, which the answer to HEAD cannot show.
func answerText(r reply) string {
	if r.code == "" {
		return fmt.Sprint(r.status)
	}
	return fmt.Sprintf("%d `%s`", r.status, r.code)
}

// compareTable with the one of the document, or write it there.
func compareTable(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), tableBegin)
	old, after, ended := strings.Cut(rest, tableEnd)
	switch {
	case !found || !ended:
		t.Fatalf("%s has no table to make", tableFile)
	case *update:
		if err := os.WriteFile(tableFile, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case old != table:
		t.Errorf("the table of %s is not what the program answers; make it with -update. Now:\n%s", tableFile, table)
	}
}
