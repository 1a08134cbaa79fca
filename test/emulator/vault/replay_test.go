package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/internal/jose/jwk"
	"skr/test/samples"
)

// ignored lists where an answer may differ from the recording. Everything else
// must be equal: status, the set and order of members, their JSON types and
// values, the set of headers, and the headers in sameHeaders. Random values of
// a service (versions, key material, skip tokens) are not ignored: they are
// learnt from the first answer that shows them.
var ignored = []struct {
	path   *regexp.Regexp // the file, then the member's path
	reason string
}{
	{regexp.MustCompile(`^releasekey-(kv|mhsm)\.json (create|delete) release_policy\.data$`),
		"the recorder's sanitiser replaced the policy with the test's own"},
	{regexp.MustCompile(`^listkeys-kv\.json list nextLink$`),
		"tokens are opaque, and the recorded list ends with an empty page; TestReplay follows the links"},
	{regexp.MustCompile(` statement header (kid|x5t|x5t#S256|x5c\[\d\])$`),
		"another certificate and key; their forms are compared"},
	{regexp.MustCompile(` statement key_hsm ciphertext$`),
		"random; the lengths are compared"},
	{regexp.MustCompile(` statement payload response\.key\.key\.key_hsm$`),
		"compared after decoding"},
	{regexp.MustCompile(` statement payload response\.key\.release_policy\.data$`),
		"compared after decoding"},
}

// ignoredHeaders are recorded headers that httptest.ResponseRecorder lacks.
var ignoredHeaders = map[string]string{
	"Date": "net/http writes it",
}

// sameHeaders must also have the recorded value.
var sameHeaders = []string{
	"Cache-Control", "Content-Type", "Expires", "Pragma", "Strict-Transport-Security",
	"X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy", "WWW-Authenticate",
}

type recording struct {
	Entries []entry
}

type entry struct {
	RequestURI      string `json:"RequestUri"`
	RequestMethod   string
	RequestHeaders  map[string]string
	RequestBody     json.RawMessage
	StatusCode      int
	ResponseHeaders map[string]string
	ResponseBody    json.RawMessage
}

// TestReplay sends each recorded request to the emulator and compares.
func TestReplay(t *testing.T) {
	files := map[string]Flavour{
		"crud-ec.json": KeyVault, "crud-rsa.json": KeyVault, "importkey-kv.json": KeyVault,
		"listkeys-kv.json": KeyVault, "releasekey-kv.json": KeyVault,
		"crud-ec_mhsm.json": ManagedHSM, "importkey-mhsm.json": ManagedHSM, "releasekey-mhsm.json": ManagedHSM,
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			newReplay(t, file, files[file]).run()
		})
	}
}

// replay is one recording played against one vault.
type replay struct {
	t      *testing.T
	file   string
	host   string
	vault  *Vault
	clock  *clock
	learnt map[string]string // maps a recorded random value to the emulator's
	next   string            // the link to the emulator's next page
}

const (
	recordedTenant = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	// recordedAuthority is the authority before the recorder sanitised it, as
	// the Managed HSM's release statement shows it.
	recordedAuthority = "https://gracewilcox2site.azurewebsites.net/"
)

func newReplay(t *testing.T, file string, flavour Flavour) *replay {
	now := &clock{now: epoch}
	c := testConfig(t, flavour, now)
	c.Host, c.Resource, c.Region = "fakevault.local", "https://local", "uksouth"
	c.AuthorizationURL = "https://login.windows.net/" + recordedTenant
	if flavour == ManagedHSM {
		c.Host, c.AuthorizationURL = "fakemhsm.local", "https://login.microsoftonline.com/"+recordedTenant
	}
	c.Chain = testChain(t, c.Host)
	c.DeletionDelay = 5 * time.Second
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &replay{t: t, file: file, host: c.Host, vault: v, clock: now, learnt: make(map[string]string)}
}

func (p *replay) run() {
	var r recording
	if err := json.Unmarshal(samples.Read(p.t, "keyvault/"+p.file), &r); err != nil {
		p.t.Fatal(err)
	}
	if p.file == "listkeys-kv.json" {
		p.seed(r)
	}
	compared := 0
	for _, e := range r.Entries {
		if !strings.Contains(e.RequestURI, p.host) || p.skipped(e) {
			continue
		}
		p.exchange(e)
		compared++
	}
	p.t.Logf("%d exchanges", compared)
	if compared < 3 {
		p.t.Errorf("only %d exchanges", compared)
	}
}

// skipped reports whether to skip an exchange that the emulator answers
// differently on purpose: Azure lists in pages of storage, some of them empty.
func (p *replay) skipped(e entry) bool {
	return bytes.Contains(e.ResponseBody, []byte(`"value": []`))
}

// seed creates the key that the recorded vault already had.
func (p *replay) seed(r recording) {
	i := slices.IndexFunc(r.Entries, func(e entry) bool { return bytes.Contains(e.ResponseBody, []byte("/keys/key3964649413")) })
	p.clock.set(time.Unix(1680041181, 0))
	w := p.send(entry{RequestMethod: "POST", RequestURI: "https://" + p.host + "/keys/key3964649413/create?api-version=7.4",
		RequestHeaders: map[string]string{"Authorization": ""}, RequestBody: json.RawMessage(`{"kty":"EC"}`)})
	if i < 0 || w.Code != http.StatusOK {
		p.t.Fatal(i, w.Code)
	}
}

func (p *replay) exchange(e entry) {
	p.setClock(e)
	w := p.send(e)
	what := p.kind(e)
	if w.Code != e.StatusCode {
		p.t.Errorf("%s: status %d, recorded %d: %s", what, w.Code, e.StatusCode, w.Body)
		return
	}
	p.compareHeaders(what, e, w.Header())
	if string(e.ResponseBody) == "null" {
		if w.Body.Len() != 0 {
			p.t.Errorf("%s: body %s, recorded none", what, w.Body)
		}
		return
	}
	if what == "release" {
		p.compareStatement(e.ResponseBody, w.Body.Bytes())
		return
	}
	p.learn(what, e.ResponseBody, w.Body.Bytes())
	p.compare(what, e.ResponseBody, w.Body.Bytes())
}

// kind names an exchange in messages and in the table of ignored places.
func (p *replay) kind(e entry) string {
	path, _, _ := strings.Cut(e.RequestURI, "?")
	switch parts := strings.Split(path, "/"); {
	case len(parts) == 4:
		return "list"
	case e.RequestMethod == "POST":
		return parts[len(parts)-1]
	default:
		return strings.ToLower(e.RequestMethod)
	}
}

// setClock sets the time from a recorded change, or else from Date.
func (p *replay) setClock(e entry) {
	var body struct {
		DeletedDate int64
		Attributes  struct{ Updated int64 }
	}
	_ = json.Unmarshal(e.ResponseBody, &body)
	if date, err := http.ParseTime(e.ResponseHeaders["Date"]); err == nil {
		p.clock.set(date)
	} else if e.RequestMethod == http.MethodGet {
		p.clock.set(p.clock.Now().Add(time.Minute)) // a Managed HSM sends no date
	}
	if e.RequestMethod == http.MethodGet {
		return
	}
	if stamp := max(body.DeletedDate, body.Attributes.Updated); stamp != 0 {
		p.clock.set(time.Unix(stamp, 0))
	}
}

func (p *replay) send(e entry) *httptest.ResponseRecorder {
	target := p.translate(e.RequestURI)
	if strings.Contains(target, "$skiptoken") {
		target = p.next
	}
	body := string(e.RequestBody)
	if body == "null" {
		body = ""
	}
	body = strings.ReplaceAll(body, `"redacted"`, `"`+p.token()+`"`)
	body = strings.ReplaceAll(body, encode64([]byte(sentPolicy("https://fakeattestation"))), encode64([]byte(sentPolicy(recordedAuthority))))
	r := httptest.NewRequestWithContext(p.t.Context(), e.RequestMethod, target, strings.NewReader(body))
	if _, authorized := e.RequestHeaders["Authorization"]; authorized {
		r.Header.Set("Authorization", "Bearer "+testToken)
	}
	w := httptest.NewRecorder()
	p.vault.ServeHTTP(w, r)
	return w
}

// sentPolicy returns the policy of the SDK's test.
func sentPolicy(authority string) string {
	return `{"anyOf":[{"anyOf":[{"claim":"sdk-test","equals":"true"}],"authority":"` + authority + `"}],"version":"1.0.0"}`
}

// token returns a replacement for the redacted token. Its key had this id.
func (p *replay) token() string {
	k, err := jwk.FromPublic(guestKey().Public())
	if err != nil {
		p.t.Fatal(err)
	}
	k.Kid, k.Use = "fake-release-key", "enc"
	return attestationToken(p.t, map[string]any{
		"iss": recordedAuthority, "sdk-test": true, "x-ms-runtime": map[string]any{"keys": []jwk.Key{k}},
	})
}

// translate replaces recorded random values with the emulator's.
func (p *replay) translate(text string) string {
	for recorded, ours := range p.learnt {
		text = strings.ReplaceAll(text, recorded, ours)
	}
	return text
}

func (p *replay) compareHeaders(what string, e entry, got http.Header) {
	var want, have []string
	for name, value := range e.ResponseHeaders {
		if ignoredHeaders[name] == "" {
			want = append(want, http.CanonicalHeaderKey(name))
		}
		if slices.Contains(sameHeaders, name) && got.Get(name) != value {
			p.t.Errorf("%s: header %s: %s, recorded %s", what, name, got.Get(name), value)
		}
	}
	for name := range got {
		have = append(have, name)
	}
	slices.Sort(want)
	slices.Sort(have)
	if diff := cmp.Diff(want, have); diff != "" {
		p.t.Errorf("%s: headers (-recorded +emulated): %s", what, diff)
	}
}

// learn records the random values of an answer.
func (p *replay) learn(what string, recorded, ours []byte) {
	type body struct {
		Key      struct{ Kid, N, X, Y string }
		NextLink string
	}
	var r, o body
	if json.Unmarshal(recorded, &r) != nil || json.Unmarshal(ours, &o) != nil {
		p.t.Fatalf("%s: body is not JSON", what)
	}
	p.next = o.NextLink
	last := func(kid string) string { return kid[strings.LastIndexByte(kid, '/')+1:] }
	switch what {
	case "create":
		p.note(r.Key.N, o.Key.N, `^[\w-]{342}$`)
		p.note(r.Key.X, o.Key.X, `^[\w-]{43}$`)
		p.note(r.Key.Y, o.Key.Y, `^[\w-]{43}$`)
		p.note(last(r.Key.Kid), last(o.Key.Kid), `^[0-9a-f]{32}$`)
	case "put":
		p.note(last(r.Key.Kid), last(o.Key.Kid), `^[0-9a-f]{32}$`)
	}
}

// note records a pair of values and checks that both have the form.
func (p *replay) note(recorded, ours, form string) {
	if recorded == "" {
		return
	}
	for _, value := range []string{recorded, ours} {
		if !regexp.MustCompile(form).MatchString(value) {
			p.t.Errorf("%q does not match %s", value, form)
		}
	}
	p.learnt[recorded] = ours
}

// leaf is one scalar of a JSON document with its path.
type leaf struct{ Path, Kind, Value string }

func (p *replay) compare(what string, recorded, ours []byte) {
	want, have := p.leaves(recorded), p.leaves(ours)
	for i := range want {
		want[i].Value = p.translate(want[i].Value)
		if i < len(have) && p.ignores(what, want[i].Path) {
			want[i].Value, have[i].Value = "", ""
			if want[i].Path == "nextLink" {
				want[i].Kind, have[i].Kind = "", "" // see the reason in ignored
			}
		}
	}
	if diff := cmp.Diff(want, have); diff != "" {
		p.t.Errorf("%s (-recorded +emulated): %s", what, diff)
	}
}

func (p *replay) ignores(what, path string) bool {
	return slices.ContainsFunc(ignored, func(i struct {
		path   *regexp.Regexp
		reason string
	}) bool {
		return i.path.MatchString(p.file + " " + what + " " + path)
	})
}

// leaves returns scalars in document order. It sorts a Managed HSM's key_ops,
// which have no fixed order.
func (p *replay) leaves(document []byte) []leaf {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var all []leaf
	p.walk(d, "", &all)
	return all
}

func (p *replay) walk(d *json.Decoder, path string, all *[]leaf) {
	token, err := d.Token()
	if err != nil {
		p.t.Fatalf("%s: %v", path, err)
	}
	switch token {
	case json.Delim('{'):
		for d.More() {
			name, _ := d.Token()
			p.walk(d, strings.TrimPrefix(fmt.Sprintf("%s.%v", path, name), "."), all)
		}
		_, _ = d.Token()
	case json.Delim('['):
		from := len(*all)
		for i := 0; d.More(); i++ {
			p.walk(d, fmt.Sprintf("%s[%d]", path, i), all)
		}
		_, _ = d.Token()
		if strings.HasSuffix(path, "key_ops") && p.vault.managedHSM() {
			sortValues((*all)[from:])
		}
	default:
		*all = append(*all, leaf{path, fmt.Sprintf("%T", token), fmt.Sprint(token)})
	}
}

func sortValues(leaves []leaf) {
	values := make([]string, len(leaves))
	for i, l := range leaves {
		values[i] = l.Value
	}
	slices.Sort(values)
	for i := range leaves {
		leaves[i].Value = values[i]
	}
}

// compareStatement compares header, payload, key_hsm and policy of the
// recorded release statement with the emulator's.
func (p *replay) compareStatement(recorded, ours []byte) {
	want, have := p.splitStatement(recorded), p.splitStatement(ours)
	for _, original := range []string{"gracewilcox2.vault.azure.net", "gracewilcox2hsm.managedhsm.azure.net"} {
		want.payload = bytes.ReplaceAll(want.payload, []byte(original), []byte(p.host))
	}
	p.compare("statement header", want.header, have.header)
	p.compare("statement payload", want.payload, have.payload)
	p.compare("statement key_hsm", want.wrapped, have.wrapped)
	if diff := cmp.Diff(string(want.policy), string(have.policy)); diff != "" {
		p.t.Errorf("stored policy (-recorded +emulated): %s", diff)
	}
	if want.ciphertext != have.ciphertext {
		p.t.Errorf("ciphertext has %d bytes, recorded %d", have.ciphertext, want.ciphertext)
	}
	if diff := cmp.Diff(want.forms, have.forms); diff != "" {
		p.t.Errorf("forms in the header (-recorded +emulated): %s", diff)
	}
}

type splitStatement struct {
	header, payload, wrapped, policy []byte
	ciphertext                       int
	forms                            []string
}

func (p *replay) splitStatement(body []byte) splitStatement {
	var value struct{ Value string }
	p.decode(body, &value)
	parts := strings.Split(value.Value, ".")
	s := splitStatement{header: p.decode64(parts[0]), payload: p.decode64(parts[1])}
	var payload struct {
		Response struct {
			Key struct {
				Key struct {
					Wrapped string `json:"key_hsm"`
				}
				Policy struct{ Data string } `json:"release_policy"`
			}
		}
	}
	p.decode(s.payload, &payload)
	s.wrapped = p.decode64(payload.Response.Key.Key.Wrapped)
	s.policy = p.decode64(payload.Response.Key.Policy.Data)
	var wrapped struct{ Ciphertext string }
	p.decode(s.wrapped, &wrapped)
	s.ciphertext = len(p.decode64(wrapped.Ciphertext))
	s.forms = p.forms(s.header)
	return s
}

// forms describes the random members of a header.
func (p *replay) forms(header []byte) []string {
	var h struct {
		Kid string
		X5t string
		S   string `json:"x5t#S256"`
		X5c []string
	}
	p.decode(header, &h)
	kinds := map[string]*regexp.Regexp{
		"upper hex SHA-1": regexp.MustCompile(`^[0-9A-F]{40}$`),
		"GUID":            regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
	}
	forms := []string{fmt.Sprintf("x5t %d, x5t#S256 %d, %d certificates", len(h.X5t), len(h.S), len(h.X5c))}
	for name, kind := range kinds {
		if kind.MatchString(h.Kid) {
			forms = append(forms, "kid is a "+name)
		}
	}
	if _, err := base64.StdEncoding.DecodeString(h.X5c[0]); err == nil {
		forms = append(forms, "x5c is base64")
	}
	return forms
}

func (p *replay) decode(data []byte, into any) {
	p.t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		p.t.Fatal(err)
	}
}

func (p *replay) decode64(text string) []byte {
	p.t.Helper()
	data, err := decode64(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}
