package conformance

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"skr/test/emulator"
)

// secrets collects what an emulated cloud gave out that a report must not have.
type secrets struct {
	mu  sync.Mutex
	all map[string]bool
}

// public are members whose values name nothing: words of the services.
var public = []string{
	"code", "message", "kty", "crv", "contentType", "recoveryLevel", "alg", "enc", "use", "token_type", "version", "schema_version",
	"response_types_supported", "id_token_signing_alg_values_supported", "claims_supported", "key_ops", "x-ms-attestation-type", "type",
	"expiryTime", "timeAfterCreate", "timeBeforeExpiry", "skr-conformance", "more",
}

func (s *secrets) tap(_ string, answer []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.collect("", parseJSON(answer))
}

func (s *secrets) collect(name string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for inner, v := range value {
			s.collect(inner, v)
		}
	case []any:
		for _, v := range value {
			s.collect(name, v)
		}
	case string:
		if !slices.Contains(public, name) && len(value) > 5 {
			s.all[value] = true
		}
	}
}

// TestReportHasNoSecret searches the report of a whole run for all that the emulator gave out, and for
// what looks like a secret or an identifier.
func TestReportHasNoSecret(t *testing.T) {
	given := &secrets{all: make(map[string]bool)}
	cloud, c := azure(t, emulator.Config{Tap: given.tap})
	var spoken strings.Builder
	c.Progress = func(o Outcome) { must(t, o.Write(&spoken)) }
	for _, status := range []string{"the usual answers", "answers with names"} {
		t.Run(status, func(t *testing.T) {
			if status == "answers with names" {
				c.Vaults = c.Vaults[:1]
				c.Transport = telling{c.Transport, cloud.Directory().Tenant()}
			}
			report, err := Run(t.Context(), c)
			must(t, err)
			text, err := json.MarshalIndent(report, "", " ")
			must(t, err)
			given.mu.Lock()
			defer given.mu.Unlock()
			for _, v := range c.Vaults {
				token, err := c.Token(t.Context(), v.Audience())
				must(t, err)
				given.all[token.Reveal()], given.all[v.String()] = true, true
			}
			given.all[cloud.Directory().Tenant()], given.all["contoso"], given.all["sharedeus"] = true, true, true
			if len(given.all) < 120 {
				t.Fatalf("%d values were collected", len(given.all))
			}
			for value := range given.all {
				if quoted, _ := json.Marshal(value); strings.Contains(string(text), strings.Trim(string(quoted), `"`)) ||
					strings.Contains(spoken.String(), value) {
					t.Errorf("the report has %q", value)
				}
			}
			for _, pattern := range []string{`[0-9a-f]{8}-[0-9a-f]{4}-`, `[0-9a-f]{20}`, `eyJ`, `[A-Za-z0-9+/_]{65}`, `\d+\.\d+\.\d+\.\d+"[,}].*ip`} {
				if found := regexp.MustCompile(pattern).FindString(strings.ReplaceAll(string(text), clientRequest, "")); found != "" {
					t.Errorf("the report has %q", found)
				}
			}
		})
	}
}

// telling makes errors tell what errors of Azure tell: who asked, from where, and of which resource.
type telling struct {
	next   http.RoundTripper
	tenant string
}

func (t telling) RoundTrip(r *http.Request) (*http.Response, error) {
	recorded := &recorder{next: t.next}
	answer, err := recorded.RoundTrip(r)
	if err != nil || answer.StatusCode < 400 {
		return answer, err
	}
	k := recorded.answers[0]
	k.body = []byte(strings.ReplaceAll(string(k.body), `"message":"`, `"message":"Caller: appid=`+t.tenant+`;oid=`+t.tenant+
		` alice@contoso.example Client address: 192.0.2.77 2001:db8::77 Resource: '/subscriptions/`+t.tenant+
		`/resourcegroups/secret-group/providers/x' Vault: contoso;location=westeurope `))
	return k.response(r), nil
}

// TestRedact: the words of a service stay.
func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"AKV.SKR.1004: Exportable keys must have release policy.":                 "AKV.SKR.1004: Exportable keys must have release policy.",
		"x-ms-sevsnpvm-uvm-endorsement-headers":                                   "x-ms-sevsnpvm-uvm-endorsement-headers",
		`Bearer authorization="https://login.microsoftonline.com/contoso.com"`:    `Bearer authorization="https://login.microsoftonline.com/…"`,
		`resource="https://vault.azure.net"`:                                      `resource="https://vault.azure.net"`,
		"id https://contoso.vault.azure.net/keys/payroll":                         "id <url>",
		"from 192.0.2.1 and 2001:db8::1":                                          "from <ip> and <ip>",
		"by alice@contoso.com":                                                    "by <address>",
		"at contoso.vault.azure.net:443":                                          "at <host>",
		"id 0123456789ABCDEF0123456789ABCDEF":                                     "id <hex>",
		"kid rFl9xM+g7TvX63y0iseZtIn20MD5SYAnGblKFasau8I=":                        "kid <text>",
		"kid rFlxMgTvXyiseZtInMDSYAnGblKFasauI":                                   "kid <text>",
		"of /subscriptions/a/resourceGroups/secret-group/x, and":                  "of <resource>, and",
		"Key not found: x (Activity ID: 01234567-89ab-cdef-0123-456789abcdef)":    "Key not found: x (Activity ID: <guid>)",
		"Bearer eyJhbGciOiJub25lIn0.eyJhIjoxfQ.":                                  "Bearer <token>",
		"Vault: contoso;location=westeurope on key vault 'contoso;location=x'":    "Vault: <name>;location=westeurope on key vault '<name>;location=x'",
		"a\x1b]0;title\ab\u009b31mc\u202ed\r\ne":                                  "a ]0;title b 31mc d  e",
		"by contoso_example.com#EXT#@fabrikam.onmicrosoft.com":                    "by <address>",
		"User account 'x' from provider 'live.com' is not in tenant 'Contoso AG'": "User account <name> from provider <name> is not in tenant <name>",
		"was not found in the directory 'Contoso AG'.":                            "was not found in the directory <name>.",
		"open /home/alice/.azure/cache.json: denied":                              "open <path>: denied",
		"lookup proxy.contoso.com on 10.0.0.1:53: no such host":                   "lookup <host> on <ip>:53: no such host",
		"at HTTPS://Contoso.example/x":                                            "at <url>",
		"The specified attestation service https://x.attest.azure.net cannot be ": "The specified attestation service <url> cannot be ",
	} {
		if got := redact(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestReportHasNoNames: a vault spells its name in another case, and its links have parameters of
// their own.
func TestReportHasNoNames(t *testing.T) {
	s := &session{config: &Config{}, names: namesOf("payroll.vault.azure.net"), suffix: "0123456789"}
	if got := s.text("Payroll is not PAYROLL.vault.azure.net"); got != "<name> is not <name>" {
		t.Errorf("got %q", got)
	}
	r, err := (&probe{s: &session{host: "payroll.vault.azure.net"}}).next(request{method: "GET", path: "/keys"},
		"https://payroll.vault.azure.net/keys?api-version=7.4&$skiptoken=payroll&marker=key-of-payroll&maxresults=1")
	if got := r.describe(); err != nil || got != "GET /keys?$skiptoken=…&api-version=7.4&marker=…&maxresults=1" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestLargeAnswers: no answer makes a large report, and of a long text no half of an identifier stays.
func TestLargeAnswers(t *testing.T) {
	name := strings.Repeat("ab ", 30)
	deep := strings.Repeat(`{"`+name+`":`, 600) + "1" + strings.Repeat("}", 600)
	long := strings.ReplaceAll(deep, name, strings.Repeat(name, 9))
	wide := `{"` + strings.Join(strings.Split(strings.Repeat("a", 3000), ""), `":1,"`) + `":[` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + "]}"
	for _, answer := range []string{deep, long, wide} {
		text, err := json.Marshal(shapeOf(parseJSON([]byte(answer))))
		must(t, err)
		if len(text) > 200_000 || len(text) < 10 {
			t.Errorf("a shape has %d bytes", len(text))
		}
	}
	id := "01234567-89ab-cdef-0123-456789abcdef"
	for cut := range len(id) {
		text := "https://a.example/ "
		text += "https://" + strings.Repeat("a", maxRead-len(text)-8-1-cut) + " " + id + strings.Repeat(" x", maxRead)
		if got := redact(text); got != "<url> <url> …" {
			t.Errorf("cut after %d: %q", cut, got)
		}
	}
	if got := redact(strings.Repeat("0", 2*maxRead)); got != " …" {
		t.Errorf("got %q", got)
	}
}
