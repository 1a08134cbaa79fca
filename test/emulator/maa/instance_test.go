package maa_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
	"skr/test/emulator/maa"
	"skr/test/snptest"
	"skr/test/uvmtest"
)

const issuer = "https://sharedeus.eus.attest.localhost:8443"

// machine is an emulated processor and the endorser of its utility VM.
type machine struct {
	vendor   *snptest.Vendor
	chip     *snptest.Chip
	endorser *uvmtest.Endorser
}

func newMachine(t *testing.T, product snp.Product) *machine {
	t.Helper()
	vendor, err := snptest.NewVendor(product, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	chip, err := vendor.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	endorser, err := uvmtest.NewEndorser()
	if err != nil {
		t.Fatal(err)
	}
	return &machine{vendor, chip, endorser}
}

// instance returns an instance that trusts the machine's vendor and endorser.
func (m *machine) instance(t *testing.T, c maa.Config) *maa.Instance {
	t.Helper()
	roots, err := vcek.ParseRoots(m.vendor.RootsPEM())
	if err != nil {
		t.Fatal(err)
	}
	c.Roots = append(c.Roots, roots)
	if c.Issuer == "" {
		c.Issuer = issuer
	}
	if c.Endorses == nil {
		c.Endorses = func(e *uvm.Endorsement) bool { return e.Issuer() == m.endorser.Issuer() }
	}
	return newInstance(t, c)
}

// requestParts are the parts of a request other than report and chain.
type requestParts struct {
	runtime  []byte
	initTime []byte
	nonce    any    // a string is sent as a JSON number
	feed     string // the endorsement's feed; "" means no endorsement
	spoil    func(outer, inner map[string]any)
}

func (m *machine) request(t *testing.T, options snptest.Options, parts requestParts) []byte {
	t.Helper()
	var data snp.ReportData
	if parts.runtime != nil {
		data = snp.Bind(parts.runtime)
	}
	if parts.initTime != nil {
		options.HostData = sha256.Sum256(parts.initTime)
	}
	report, err := m.chip.Report(data, options)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := m.chip.ChainPEM(m.chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	inner := map[string]any{"SnpReport": encode(report), "VcekCertChain": encode(chain)}
	if parts.feed != "" {
		inner["Endorsements"] = m.endorsements(t, report, parts.feed)
	}
	outer := make(map[string]any)
	addParts(outer, parts)
	if parts.spoil != nil {
		parts.spoil(outer, inner)
	}
	if _, spoilt := outer["report"]; !spoilt {
		outer["report"] = encode(marshal(t, inner))
	}
	return marshal(t, outer)
}

func addParts(outer map[string]any, parts requestParts) {
	if parts.runtime != nil {
		outer["runtimeData"] = map[string]string{"data": encode(parts.runtime), "dataType": "JSON"}
	}
	if parts.initTime != nil {
		outer["initTimeData"] = map[string]string{"data": encode(parts.initTime), "dataType": "JSON"}
	}
	switch nonce := parts.nonce.(type) {
	case string:
		outer["nonce"] = json.RawMessage(nonce)
	case nil:
	default:
		outer["nonce"] = nonce
	}
}

func (m *machine) endorsements(t *testing.T, report []byte, feed string) string {
	t.Helper()
	parsed, err := snp.Parse(report)
	if err != nil {
		t.Fatal(err)
	}
	cose, err := m.endorser.Endorse(parsed.Measurement(), 100, feed)
	if err != nil {
		t.Fatal(err)
	}
	return encode(marshal(t, map[string]any{"Uvm": []string{encode(cose)}}))
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func post(instance http.Handler, path string, body []byte) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	instance.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
	return answer
}

func attest(t *testing.T, instance http.Handler, body []byte) string {
	t.Helper()
	answer := post(instance, "/attest/SevSnpVm?api-version=2022-08-01", body)
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	var wire struct{ Token string }
	if err := json.Unmarshal(answer.Body.Bytes(), &wire); err != nil {
		t.Fatal(err)
	}
	return wire.Token
}

// publishedKey returns the key of /certs, as a client finds it.
func publishedKey(t *testing.T, instance http.Handler) (kid string, cert *x509.Certificate) {
	t.Helper()
	answer := httptest.NewRecorder()
	instance.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/certs", http.NoBody))
	var set struct {
		Keys []struct {
			Kid string
			X5c [][]byte
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("/certs: %v: %s", err, answer.Body)
	}
	cert, err := x509.ParseCertificate(set.Keys[0].X5c[0])
	if err != nil {
		t.Fatal(err)
	}
	return set.Keys[0].Kid, cert
}

// verifyToken verifies a token as a careful client does.
func verifyToken(t *testing.T, instance http.Handler, compact string) (jwt.MapClaims, error) {
	t.Helper()
	kid, cert := publishedKey(t, instance)
	claims := make(jwt.MapClaims)
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt()).ParseWithClaims(compact, claims, func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != kid {
			return nil, jwt.ErrTokenUnverifiable
		}
		return cert.PublicKey, nil
	})
	return claims, err
}

func TestClaimsOfEachProduct(t *testing.T) {
	for _, product := range []snp.Product{snp.Milan, snp.Genoa, snp.Turin} {
		t.Run(product.String(), func(t *testing.T) {
			m := newMachine(t, product)
			m.chip.SetTCB(snp.Components{FMC: fmcOf(product), Bootloader: 9, TEE: 2, SNP: 27, Microcode: 200})
			instance := m.instance(t, maa.Config{Claims2025: true})
			claims, err := verifyToken(t, instance, attest(t, instance, m.request(t, snptest.Options{VMPL: 1, Policy: 0x3001f | 1<<19 | 1<<20}, requestParts{})))
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]any{
				"x-ms-sevsnpvm-bootloader-svn":    9.0,
				"x-ms-sevsnpvm-tee-svn":           2.0,
				"x-ms-sevsnpvm-snpfw-svn":         27.0,
				"x-ms-sevsnpvm-microcode-svn":     200.0,
				"x-ms-sevsnpvm-chip-family":       product.String(),
				"x-ms-sevsnpvm-vmpl":              1.0,
				"x-ms-sevsnpvm-is-debuggable":     true,
				"x-ms-sevsnpvm-singlesocket":      true,
				"x-ms-sevsnpvm-migration-allowed": false,
				"x-ms-sevsnpvm-smt-allowed":       true,
				"x-ms-compliance-status":          nil,
				"x-ms-runtime":                    nil,
			} {
				if got := claims[name]; got != want {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
			id := m.chip.ID()
			if want := strings.ToLower(hexText(id.HWID(product))); claims["x-ms-sevsnpvm-chipid"] != want {
				t.Errorf("chipid is %v, want %s", claims["x-ms-sevsnpvm-chipid"], want)
			}
		})
	}
}

func fmcOf(p snp.Product) uint8 {
	if p == snp.Turin {
		return 1
	}
	return 0
}

func hexText(raw []byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range raw {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func TestAppraisal(t *testing.T) {
	m := newMachine(t, snp.Milan)
	for _, test := range []struct {
		name    string
		options snptest.Options
		parts   requestParts
		want    map[string]any
	}{
		{"a Kata endorsement", snptest.Options{}, requestParts{feed: "ConfAKS-AMD-UVM"}, map[string]any{"x-ms-compliance-status": "azure-signed-katacc-uvm"}},
		{"a container group's endorsement", snptest.Options{}, requestParts{feed: "ContainerPlat-AMD-UVM"},
			map[string]any{"x-ms-compliance-status": "azure-compliant-uvm"}},
		{"a nonce as a string", snptest.Options{}, requestParts{nonce: json.RawMessage(`"abc"`)}, map[string]any{"nonce": "abc"}},
		{"a nonce beyond a float", snptest.Options{}, requestParts{nonce: "18446744073709551615"}, map[string]any{"nonce": "18446744073709551615"}},
		{"init-time data", snptest.Options{}, requestParts{initTime: []byte(`{"a":1}`)}, map[string]any{"x-ms-inittime": map[string]any{"a": 1.0}}},
		{"empty init-time data", snptest.Options{}, requestParts{spoil: func(outer, _ map[string]any) {
			outer["initTimeData"] = map[string]string{"data": "", "dataType": ""}
		}}, map[string]any{"x-ms-inittime": nil}},
		{"binary runtime data", snptest.Options{}, requestParts{runtime: []byte("\x00\x01"), spoil: func(outer, _ map[string]any) {
			outer["runtimeData"].(map[string]string)["dataType"] = "Binary"
		}}, map[string]any{"x-ms-runtime": nil}},
		{"padded base64url", snptest.Options{}, requestParts{spoil: func(outer, inner map[string]any) {
			text, _ := json.Marshal(inner)
			outer["report"] = base64.URLEncoding.EncodeToString(append(text, ' '))
		}}, nil},
		{"a version 2 report", snptest.Options{Version: 2}, requestParts{}, nil},
		{"a version 5 report", snptest.Options{Version: 5}, requestParts{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			instance := m.instance(t, maa.Config{})
			claims, err := verifyToken(t, instance, attest(t, instance, m.request(t, test.options, test.parts)))
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range test.want {
				if diff := cmp.Diff(want, claims[name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	m := newMachine(t, snp.Milan)
	stranger := newMachine(t, snp.Milan)
	good := m.instance(t, maa.Config{})
	runtime := []byte(`{"keys":[]}`)
	inner := func(name string, value func(old string) any) requestParts {
		return requestParts{spoil: func(_, inner map[string]any) {
			old, _ := inner[name].(string)
			inner[name] = value(old)
		}}
	}
	outer := func(name string, value any) requestParts {
		return requestParts{spoil: func(outer, _ map[string]any) { outer[name] = value }}
	}
	for _, test := range []struct {
		name     string
		instance http.Handler
		path     string // "" means the usual one
		body     []byte
		status   int
		code     string
		message  string
	}{
		{name: "no api-version", path: "/attest/SevSnpVm", body: m.request(t, snptest.Options{}, requestParts{}), code: "InvalidParameter", message: "api-version"},
		{name: "an api-version of a wrong form", path: "/attest/SevSnpVm?api-version=7.4", body: m.request(t, snptest.Options{}, requestParts{}),
			code: "InvalidParameter", message: "api-version"},
		{name: "no JSON", body: []byte("report"), code: "InvalidParameter", message: "JSON"},
		{name: "no report", body: []byte(`{}`), code: "InvalidParameter", message: "report is required"},
		{name: "a body without end", body: bytes.Repeat([]byte(" "), 2<<20), code: "InvalidParameter", message: "larger"},
		{name: "the standard alphabet", body: m.request(t, snptest.Options{}, outer("report", "ab/c")),
			code: "InvalidParameter", message: `Unknown base64 character: 47 ("/")`},
		{name: "the standard alphabet inside", body: m.request(t, snptest.Options{}, inner("SnpReport", func(old string) any { return "+" + old })),
			code: "InvalidParameter", message: `Unknown base64 character: 43 ("+")`},
		{name: "a line break in base64", body: m.request(t, snptest.Options{}, inner("SnpReport", func(old string) any { return old + "\n" })),
			code: "InvalidParameter", message: "Unknown base64 character: 10"},
		{name: "a short report", body: m.request(t, snptest.Options{}, inner("SnpReport", func(old string) any { return old[:400] })),
			code: "InvalidParameter", message: "SnpReport is malformed"},
		{name: "an unknown report version", body: m.request(t, snptest.Options{Version: 99}, requestParts{}),
			code: "InvalidParameter", message: "SnpReport is malformed"},
		{name: "no chain", body: m.request(t, snptest.Options{}, inner("VcekCertChain", func(string) any { return "" })),
			code: "InvalidParameter", message: "VcekCertChain is required"},
		{name: "a chain that is not PEM", body: m.request(t, snptest.Options{}, inner("VcekCertChain", func(string) any { return "AAAA" })),
			code: "InvalidParameter", message: "VcekCertChain is malformed"},
		{name: "a stranger's silicon", body: stranger.request(t, snptest.Options{}, requestParts{}), code: "InvalidParameter", message: "cannot be verified"},
		{name: "a changed report", body: m.request(t, snptest.Options{MutateSigned: func(raw []byte) { raw[0xC0] ^= 1 }}, requestParts{}),
			code: "InvalidParameter", message: "cannot be verified"},
		{name: "another chip's certificate", body: m.request(t, snptest.Options{ChipID: new(snp.ChipID{1, 2, 3})}, requestParts{}),
			code: "InvalidParameter", message: "cannot be verified"},
		{name: "another TCB's certificate", body: m.request(t, snptest.Options{ReportedTCB: new(snp.Components{Microcode: 1}.TCB(snp.Milan))}, requestParts{}),
			code: "InvalidParameter", message: "cannot be verified"},
		{name: "an expired VCEK", instance: m.instance(t, maa.Config{Now: func() time.Time { return time.Now().AddDate(8, 0, 0) }}),
			body: m.request(t, snptest.Options{}, requestParts{}),
			code: "InvalidParameter", message: "cannot be verified"},
		{name: "other runtime data", body: m.request(t, snptest.Options{ReportData: new(snp.Bind([]byte("{}")))}, requestParts{runtime: runtime}),
			code: "InvalidParameter", message: "runtimeData does not match"},
		{name: "REPORT_DATA with more than a hash", body: m.request(t, snptest.Options{ReportData: withTail(runtime)}, requestParts{runtime: runtime}),
			code: "InvalidParameter", message: "runtimeData does not match"},
		{name: "runtime data that are not an object", body: m.request(t, snptest.Options{}, requestParts{runtime: []byte("[]")}),
			code: "InvalidParameter", message: "not a JSON object"},
		{name: "runtime data without a type", body: m.request(t, snptest.Options{}, outer("runtimeData", map[string]string{"data": "e30"})),
			code: "InvalidParameter", message: "dataType"},
		{name: "other init-time data", body: m.request(t, snptest.Options{}, outer("initTimeData", map[string]string{"data": "e30", "dataType": "JSON"})),
			code: "InvalidParameter", message: "initTimeData does not match"},
		{name: "a nonce that is a fraction", body: m.request(t, snptest.Options{}, requestParts{nonce: 1.5}), code: "InvalidParameter", message: "nonce"},
		{name: "a draft policy", body: m.request(t, snptest.Options{}, outer("draftPolicyForAttestation", "version= 1.0;")),
			code: "InvalidParameter", message: "draftPolicyForAttestation"},
		{name: "an endorsement that is not COSE",
			body: m.request(t, snptest.Options{}, inner("Endorsements", func(string) any { return encode([]byte(`{"Uvm":["AAAA"]}`)) })),
			code: "InvalidParameter", message: "endorsement cannot be verified"},
		{name: "a stranger's endorsement", instance: m.instance(t, maa.Config{Endorses: func(*uvm.Endorsement) bool { return false }}),
			body: m.request(t, snptest.Options{}, requestParts{feed: "ContainerPlat-AMD-UVM"}),
			code: "InvalidParameter", message: "issuer is not accepted"},
		{name: "an endorsement of something else", body: m.request(t, snptest.Options{}, otherEndorsement(t, m)),
			code: "InvalidParameter", message: "not for the launch measurement"},
		{name: "an unknown feed", body: m.request(t, snptest.Options{}, requestParts{feed: "Other-UVM"}), code: "InvalidParameter", message: "feed"},
		{name: "a policy that denies", instance: m.instance(t, maa.Config{Policy: "version= 1.0;authorizationrules{=> deny();};"}),
			body: m.request(t, snptest.Options{}, requestParts{}),
			code: "PolicyEvaluationError", message: "Policy Evaluation Error has occurred"},
		{name: "another kind of evidence", path: "/attest/Tpm?api-version=2020-10-01", body: []byte("{}"),
			code: "InvalidOperation", message: "SevSnpVm and AzureGuest"},
		{name: "policy management", path: "/policies/SevSnpVm?api-version=2022-08-01",
			status: http.StatusUnauthorized, code: "Unauthorized", message: "not authorized"},
		{name: "nothing", path: "/nothing", status: http.StatusNotFound, code: "NotFound", message: "does not exist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.instance == nil {
				test.instance = good
			}
			if test.path == "" {
				test.path = "/attest/SevSnpVm?api-version=2022-08-01"
			}
			if test.status == 0 {
				test.status = http.StatusBadRequest
			}
			answer := post(test.instance, test.path, test.body)
			if answer.Code != test.status {
				t.Errorf("status %d, want %d: %s", answer.Code, test.status, answer.Body)
			}
			var wire struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &wire); err != nil {
				t.Fatal(err)
			}
			if wire.Error.Code != test.code || !strings.Contains(wire.Error.Message, test.message) {
				t.Errorf("error %q %q, want %q with %q", wire.Error.Code, wire.Error.Message, test.code, test.message)
			}
			if got := answer.Header().Get("x-ms-error-code"); got != "" {
				t.Errorf("x-ms-error-code is %q before 2025-06-01", got)
			}
		})
	}
}

func withTail(runtime []byte) *snp.ReportData {
	data := snp.Bind(runtime)
	data[63] = 1
	return &data
}

func otherEndorsement(t *testing.T, m *machine) requestParts {
	t.Helper()
	cose, err := m.endorser.Endorse(snp.Measurement{9}, 100, "ContainerPlat-AMD-UVM")
	if err != nil {
		t.Fatal(err)
	}
	document := encode(marshal(t, map[string]any{"Uvm": []string{encode(cose)}}))
	return requestParts{spoil: func(_, inner map[string]any) { inner["Endorsements"] = document }}
}

func TestErrorHeader(t *testing.T) {
	m := newMachine(t, snp.Milan)
	for version, want := range map[string]string{
		"2022-08-01": "", "2023-04-01-preview": "", "2025-06-01": "InvalidParameter", "2026-03-11-preview": "InvalidParameter",
	} {
		answer := post(m.instance(t, maa.Config{}), "/attest/SevSnpVm?api-version="+version, []byte("{}"))
		if got := answer.Header().Get("x-ms-error-code"); got != want {
			t.Errorf("%s: x-ms-error-code is %q, want %q", version, got, want)
		}
	}
}

func TestHeadersAndSpellings(t *testing.T) {
	m := newMachine(t, snp.Milan)
	instance := m.instance(t, maa.Config{})
	request := m.request(t, snptest.Options{}, requestParts{})
	for _, path := range []string{"/attest/SevSnpVm", "/attest/SevSnpVM", "/attest/sevsnpvm"} {
		answer := post(instance, path+"?api-version=2020-10-01", request)
		if answer.Code != http.StatusOK {
			t.Errorf("%s: status %d: %s", path, answer.Code, answer.Body)
		}
		for name, form := range map[string]string{
			"Content-Type":             `^application/json; charset=utf-8$`,
			"Server":                   `^Kestrel$`,
			"x-ms-request-id":          `^00-[0-9a-f]{32}-0{16}-00$`,
			"x-ms-maa-service-version": `^1\.`,
		} {
			if got := answer.Header().Get(name); !regexp.MustCompile(form).MatchString(got) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
}

func TestSigningCertificate(t *testing.T) {
	m := newMachine(t, snp.Milan)
	var attested snp.ReportData
	instance := m.instance(t, maa.Config{Evidence: func(data snp.ReportData) ([]byte, error) {
		attested = data
		return []byte(`{"SnpReport":""}`), nil
	}})
	kid, cert := publishedKey(t, instance)
	der, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0))
	if want := base64.StdEncoding.EncodeToString(sum[:]); kid != want {
		t.Errorf("kid %q, want %q", kid, want)
	}
	if !bytes.Equal(attested[:32], sum[:]) {
		t.Error("the instance's own report does not cover its key")
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		t.Errorf("not self-signed: %v", err)
	}
	if cert.Subject.CommonName != issuer || cert.Issuer.CommonName != issuer ||
		!bytes.Contains(cert.RawSubject, append([]byte{asn1.TagUTF8String, byte(len(issuer))}, issuer...)) {
		t.Errorf("subject %q", cert.RawSubject)
	}
	if key := cert.PublicKey.(*rsa.PublicKey); key.Size() != 256 || !cert.IsCA ||
		cert.SignatureAlgorithm != x509.SHA256WithRSA || cert.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("%d bytes, CA %v, %v, usage %v", key.Size(), cert.IsCA, cert.SignatureAlgorithm, cert.KeyUsage)
	}
	if got := len(cert.Extensions) - 4; got != 2 {
		t.Errorf("%d extensions of the service's own, want 2", got)
	}
}

func TestDiscovery(t *testing.T) {
	instance := newMachine(t, snp.Milan).instance(t, maa.Config{})
	answer := httptest.NewRecorder()
	instance.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/.well-known/openid-configuration", http.NoBody))
	document := object(t, answer.Body.Bytes())
	if document["issuer"] != issuer || document["jwks_uri"] != issuer+"/certs" {
		t.Errorf("%v", document)
	}
}

func TestPolicyHash(t *testing.T) {
	m := newMachine(t, snp.Milan)
	instance := m.instance(t, maa.Config{})
	claims := object(t, splitToken(t, attest(t, instance, m.request(t, snptest.Options{}, requestParts{}))).payload)
	// The hash in real default-policy tokens from 2022 to 2026.
	if got := claims["x-ms-policy-hash"]; got != "9NY0VnTQ-IiBriBplVUpFbczcDaEBUwsiFYAzHu_gco" {
		t.Errorf("x-ms-policy-hash is %v", got)
	}
}

func TestConfigurationRefusals(t *testing.T) {
	for name, c := range map[string]maa.Config{
		"no issuer":        {},
		"a trailing slash": {Issuer: issuer + "/"},
		"a real policy":    {Issuer: issuer, Policy: `version= 1.0;authorizationrules{[type=="x-ms-sevsnpvm-vmpl", value==0] => permit();};`},
	} {
		if _, err := maa.New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestForgeries(t *testing.T) {
	m := newMachine(t, snp.Milan)
	var next maa.Forgery
	instance := m.instance(t, maa.Config{Forge: func() maa.Forgery { return next }})
	kek := []byte(`{"keys":[{"kty":"RSA","e":"AQAB","n":"AAAA"}]}`)
	request := m.request(t, snptest.Options{}, requestParts{runtime: kek, nonce: "7"})
	notices := map[maa.Forgery]func(jwt.MapClaims, error) bool{
		maa.AlgNone:        refused,
		maa.HS256:          refused,
		maa.OtherIssuer:    refused,
		maa.Expired:        refused,
		maa.NotYetValid:    refused,
		maa.UnknownKid:     refused,
		maa.OtherSignature: refused,
		maa.WrongNonce:     func(c jwt.MapClaims, err error) bool { return err == nil && c["nonce"] != "7" },
		maa.OtherKEK: func(c jwt.MapClaims, err error) bool {
			key := c["x-ms-runtime"].(map[string]any)["keys"].([]any)[0].(map[string]any)
			return err == nil && key["n"] != "AAAA"
		},
	}
	if diff := cmp.Diff(maa.Forgeries(), slices.Sorted(maps.Keys(notices))); diff != "" {
		t.Errorf("forgeries and tests (-listed +tested):\n%s", diff)
	}
	for forgery, noticed := range notices {
		next = forgery
		if claims, err := verifyToken(t, instance, attest(t, instance, request)); !noticed(claims, err) {
			t.Errorf("%s: %v, %v", forgery, err, claims)
		}
	}
	next = ""
	if _, err := verifyToken(t, instance, attest(t, instance, request)); err != nil {
		t.Errorf("the next token: %v", err)
	}
}

func refused(_ jwt.MapClaims, err error) bool { return err != nil }

func FuzzAttest(f *testing.F) {
	instance, err := maa.New(maa.Config{Issuer: issuer})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"report":"e30","runtimeData":{"data":"e30","dataType":"JSON"},"nonce":1}`))
	f.Add([]byte(`{"report":"eyJTbnBSZXBvcnQiOiJBQSIsIlZjZWtDZXJ0Q2hhaW4iOiJBQSIsIkVuZG9yc2VtZW50cyI6ImUzMCJ9"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if answer := post(instance, "/attest/SevSnpVm?api-version=2022-08-01", body); answer.Code != http.StatusBadRequest {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
	})
}
