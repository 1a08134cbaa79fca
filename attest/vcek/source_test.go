package vcek

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/attest/snp"
	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
	"skr/test/snptest"
)

// service answers by path and query and records the requests.
type service struct {
	*httptest.Server
	answers map[string][]byte
	asked   []string
	headers []http.Header
}

func newService(t *testing.T, answers map[string][]byte) *service {
	t.Helper()
	s := &service{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked = append(s.asked, r.URL.String())
		s.headers = append(s.headers, r.Header)
		body, ok := s.answers[r.URL.String()]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) checkAsked(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func newClient() HTTPClient {
	return httpclient.New(httpclient.Config{Service: "certificates", Retry: httpclient.Retry{Attempts: 1}}).Transporter()
}

func der(t *testing.T, chip *snptest.Chip, tcb snp.TCB) []byte {
	t.Helper()
	block, _ := pem.Decode(chainPEM(t, chip, tcb))
	return block.Bytes
}

func mustVerify(t *testing.T, source Source, m *maker, report *snp.Report) {
	t.Helper()
	chain, err := source.Chain(t.Context(), WantedBy(report))
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.Verify(report, m.roots, now); err != nil {
		t.Error(err)
	}
}

func TestHostSource(t *testing.T) {
	m := milan(t)
	report := reportOf(t, m.first, snptest.Options{})
	for name, document := range map[string][]byte{
		"THIM": append([]byte("\n "), thimOf(t, m.first, m.first.TCB())...), "PEM": chainPEM(t, m.first, m.first.TCB()),
	} {
		t.Run(name, func(t *testing.T) {
			source, err := NewHostSource(document)
			if err != nil {
				t.Fatal(err)
			}
			clear(document) // the source keeps its own copy
			mustVerify(t, source, m, report)
		})
	}
}

func TestHostSourceIsLazy(t *testing.T) {
	if _, err := NewHostSource([]byte(" \n")); err == nil {
		t.Error("an empty document was accepted as a source")
	}
	m := milan(t)
	for _, document := range []string{"{", "{}", "garbage", "-----BEGIN CERTIFICATE-----"} {
		source, err := NewHostSource([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := source.Chain(t.Context(), Wanted{}); err == nil {
			t.Errorf("%q was accepted as a chain", document)
		}
		mustChain(t, endorserOf(m, source, issuing(t, "next", m.first)), reportOf(t, m.first, snptest.Options{}), m.first.TCB())
	}
}

// TestUnusableHostDocument checks that the refusal explains what is wrong with the
// document if no other source has the chain.
func TestUnusableHostDocument(t *testing.T) {
	m := milan(t)
	malformed, err := NewHostSource([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for want, source := range map[string]Source{
		"member vcekCert is missing": malformed,
		"it is on fire":              NewUnusableHostSource(errors.New("it is on fire")),
	} {
		_, err := endorserOf(m, source).Chain(t.Context(), reportOf(t, m.first, snptest.Options{}))
		refused, ok := errors.AsType[*refusal.Error](err)
		if !ok || refused.Kind != refusal.NoEndorsements || !strings.Contains(refused.Reason, want) {
			t.Errorf("error %v, want a reason with %q", err, want)
		}
	}
}

const thimPath = "/metadata/THIM/amd/certification"

func TestTHIMSource(t *testing.T) {
	m := milan(t)
	chip := m.newChip(t)
	before := chip.TCB()
	s := newService(t, map[string][]byte{thimPath: thimOf(t, chip, before)})
	source := NewTHIMSource(newClient(), s.URL+thimPath, "")
	for _, version := range []uint32{2, 3} {
		mustVerify(t, source, m, reportOf(t, chip, snptest.Options{Version: version}))
	}
	s.checkAsked(t, thimPath, thimPath)

	chip.SetTCB(snp.Components{Bootloader: 4, SNP: 24, Microcode: 211})
	query := thimPath + "?platformId=" + chip.ID().String() + "&tcbVersion=d318000000000004"
	s.answers[query] = thimOf(t, chip, chip.TCB())
	s.asked = nil
	for _, version := range []uint32{2, 3} {
		mustVerify(t, source, m, reportOf(t, chip, snptest.Options{Version: version}))
	}
	s.checkAsked(t, thimPath, query, thimPath, query)
	for _, header := range s.headers {
		if got := header.Get("Metadata"); got != "true" {
			t.Errorf("header Metadata is %q", got)
		}
	}
}

// TestTHIMSourceTakesVLEK checks that a report by a VLEK gets its certificate, whether the
// node serves it at once or in answer to the query for it.
func TestTHIMSourceTakesVLEK(t *testing.T) {
	for _, make := range []func(testing.TB) *maker{milan, genoa, turin} {
		m := make(t)
		chip, line := m.first, m.first.TCB().Product().String()
		vlek, vcek := thimOfVLEK(t, chip), thimOf(t, chip, chip.TCB())
		query := thimPath + "?platformId=" + chip.ID().String() + "&productName=" + line + "&tcbVersion=" + chip.TCB().Hex()
		masked := thimPath + "?productName=" + line + "&tcbVersion=" + chip.TCB().Hex()
		for name, test := range map[string]struct {
			change snptest.Options
			first  []byte
			asked  []string
		}{
			"a node that serves VLEK":    {snptest.Options{}, vlek, []string{thimPath}},
			"a node that serves VCEK":    {snptest.Options{}, vcek, []string{thimPath, query}},
			"a host that masks CHIP_ID":  {snptest.Options{ChipID: new(snp.ChipID)}, vcek, []string{thimPath, masked}},
			"a report without a product": {snptest.Options{Version: 2}, vcek, []string{thimPath, query}},
		} {
			if test.change.Version == 2 && line == "Turin" {
				continue // reports of Turin name it
			}
			t.Run(line+" "+name, func(t *testing.T) {
				test.change.SigningKey = snp.VLEK
				report := reportOf(t, chip, test.change)
				s := newService(t, map[string][]byte{thimPath: test.first, query: vlek, masked: vlek})
				source := NewTHIMSource(newClient(), s.URL+thimPath, "")
				mustVerify(t, source, m, report)
				s.checkAsked(t, test.asked...)
				mustChain(t, endorserOf(m, source), report, chip.TCB())
			})
		}
	}
}

// TestTHIMSourceRefusesFalseVLEK checks that a VLEK is taken only with its own issuers,
// for its TCB, and for a report that it signed.
func TestTHIMSourceRefusesFalseVLEK(t *testing.T) {
	m := milan(t)
	chip := m.first
	good := thimOfVLEK(t, chip)
	member := func(name, value string) []byte {
		document := unmarshal[map[string]string](t, good)
		document[name] = value
		changed, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	higher := chip.TCB().Components()
	higher.SNP++
	lying, err := chip.LyingVLEK(chip.TCB(), snptest.Lies{TCB: &higher})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := chip.VCEK(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		document []byte
		signer   snp.SigningKey
		words    string
	}{
		"issuers of a VCEK":  {member(thimIssuers, string(m.vendor.ChainPEM())), snp.VLEK, "SEV-VLEK-Milan"},
		"another TCB":        {member(thimLeaf, string(lying)), snp.VLEK, "the certificate is for"},
		"a report by a VCEK": {good, snp.VCEK, "the report is signed by its VCEK"},
		"a VCEK":             {member(thimLeaf, string(leaf)), snp.VLEK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			report := reportOf(t, chip, snptest.Options{SigningKey: test.signer})
			source, err := NewHostSource(test.document)
			if err != nil {
				t.Fatal(err)
			}
			_, err = endorserOf(m, source).Chain(t.Context(), report)
			checkRefused(t, err, refusal.NoEndorsements, test.words)
		})
	}
}

// TestKDSSourceHasNoVLEK checks that the cause is named, and that another source's wish for a
// later attempt remains.
func TestKDSSourceHasNoVLEK(t *testing.T) {
	m := milan(t)
	s := newService(t, nil)
	busy := giving("busy", nil, &refusal.Error{Kind: refusal.Throttled})
	report := reportOf(t, m.first, snptest.Options{SigningKey: snp.VLEK})
	_, err := endorserOf(m, busy, NewKDSSource(newClient(), s.URL)).Chain(t.Context(), report)
	checkRefused(t, err, refusal.Throttled, "AMD KDS (it serves VLEK certificates to cloud providers only)")
	s.checkAsked(t)
}

func TestTHIMSourceKeepsQuery(t *testing.T) {
	chip := milan(t).first
	s := newService(t, map[string][]byte{thimPath + "?a=b": thimOf(t, chip, chip.TCB())})
	if _, err := NewTHIMSource(newClient(), s.URL+thimPath+"?a=b", "").Chain(t.Context(), Wanted{Chip: chip.ID(), TCB: chip.TCB()}); err != nil {
		t.Error(err)
	}
}

// TestEndorserFollowsTHIM tests the whole path with the real client: the endorser follows
// the node's THIM after a firmware update.
func TestEndorserFollowsTHIM(t *testing.T) {
	m := turin(t)
	chip := m.newChip(t)
	s := newService(t, map[string][]byte{})
	e := endorserOf(m, NewTHIMSource(newClient(), s.URL+thimPath, ""))
	a := chip.TCB()
	levels := a.Components()
	levels.FMC++
	b := levels.TCB(snp.Turin)
	for _, tcb := range []snp.TCB{a, a, b, b, a, a} {
		chip.SetTCB(tcb.Components())
		s.answers[thimPath] = thimOf(t, chip, tcb)
		mustChain(t, e, reportOf(t, chip, snptest.Options{}), tcb)
	}
	s.checkAsked(t, thimPath, thimPath)
}

func TestAzureCacheSource(t *testing.T) {
	chip := milan(t).first
	tcb := snp.NewTCB(0x0308000000000073, snp.Milan)
	const path = "/SevSnpVM/certificates/"
	for _, test := range []struct{ apiVersion, clientID, query string }{
		{"api-version=2020-10-15-preview", "clientId=ConfidentialACI", "?api-version=2020-10-15-preview&clientId=ConfidentialACI"},
		{"api-version=2020-10-15-preview", "", "?api-version=2020-10-15-preview"},
		{"", "clientId=x", "?clientId=x"},
		{"", "", ""},
	} {
		want := path + chip.ID().String() + "/308000000000073" + test.query
		s := newService(t, map[string][]byte{want: crlf(chainPEM(t, chip, tcb))})
		source := NewAzureCacheSource(newClient(), s.URL+path, test.apiVersion, test.clientID)
		chain, err := source.Chain(t.Context(), Wanted{Chip: chip.ID(), TCB: tcb})
		s.checkAsked(t, want)
		if err != nil || chain.TCB() != tcb {
			t.Errorf("got %v", err)
		}
	}
}

func TestKDSSource(t *testing.T) {
	for _, test := range []struct {
		make  func(testing.TB) *maker
		query string
	}{
		{milan, "blSPL=3&teeSPL=1&snpSPL=24&ucodeSPL=211"},
		{genoa, "blSPL=3&teeSPL=1&snpSPL=24&ucodeSPL=211"},
		{turin, "fmcSPL=2&blSPL=3&teeSPL=1&snpSPL=24&ucodeSPL=211"},
	} {
		m := test.make(t)
		chip := m.newChip(t)
		product := chip.TCB().Product()
		t.Run(product.String(), func(t *testing.T) {
			levels := snp.Components{Bootloader: 3, TEE: 1, SNP: 24, Microcode: 211}
			id := chip.ID().String()
			if product == snp.Turin {
				levels.FMC, id = 2, id[:16]
			}
			chip.SetTCB(levels)
			base := "/vcek/v1/" + product.String() + "/"
			leaf := base + id + "?" + test.query
			s := newService(t, map[string][]byte{leaf: der(t, chip, chip.TCB()), base + "cert_chain": m.vendor.ChainPEM()})
			source := NewKDSSource(newClient(), s.URL+"/")
			for range 2 {
				mustVerify(t, source, m, reportOf(t, chip, snptest.Options{}))
			}
			s.checkAsked(t, leaf, base+"cert_chain", leaf)
		})
	}
}

// TestKDSSourceGuessesProduct checks that a version 2 report may come from Genoa.
func TestKDSSourceGuessesProduct(t *testing.T) {
	m := genoa(t)
	report := reportOf(t, m.first, snptest.Options{Version: 2})
	path := (&kdsSource{}).leafURL(m.first.ID(), m.first.TCB())
	s := newService(t, map[string][]byte{path: der(t, m.first, m.first.TCB()), "/vcek/v1/Genoa/cert_chain": m.vendor.ChainPEM()})
	mustVerify(t, NewKDSSource(newClient(), s.URL), m, report)
	s.checkAsked(t, strings.Replace(path, "Genoa", "Milan", 1), path, "/vcek/v1/Genoa/cert_chain")
}

// TestKDSSourceForgetsBadIssuers checks that issuers are kept only if they signed the
// leaf, and only as long as they sign new ones.
func TestKDSSourceForgetsBadIssuers(t *testing.T) {
	m := milan(t)
	other, err := snptest.NewVendor(snp.Milan, now)
	if err != nil {
		t.Fatal(err)
	}
	report := reportOf(t, m.first, snptest.Options{})
	path := (&kdsSource{}).leafURL(m.first.ID(), m.first.TCB())
	const issuers = "/vcek/v1/Milan/cert_chain"
	s := newService(t, map[string][]byte{path: der(t, m.first, m.first.TCB()), issuers: other.ChainPEM()})
	source := NewKDSSource(newClient(), s.URL)
	_, err = source.Chain(t.Context(), WantedBy(report))
	checkError(t, err, "cert_chain of Milan")
	half, _, _ := bytes.Cut(m.vendor.ChainPEM(), []byte("-----END CERTIFICATE-----\n"))
	s.answers[issuers] = slices.Concat(half, []byte("-----END CERTIFICATE-----\n"), other.RootsPEM()) // the right ASK, another ARK
	_, err = source.Chain(t.Context(), WantedBy(report))
	checkError(t, err, "cert_chain of Milan")
	s.answers[issuers] = m.vendor.ChainPEM()
	mustVerify(t, source, m, report)

	stranger, err := other.NewChip()
	if err != nil {
		t.Fatal(err)
	}
	s.answers[path], s.answers[issuers] = der(t, stranger, m.first.TCB()), other.ChainPEM()
	foreign, err := source.Chain(t.Context(), WantedBy(report))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkLink(foreign.leaf, foreign.intermediate); err != nil {
		t.Error(err) // consistent; Verify must refuse it
	}
	s.answers[path], s.answers[issuers] = der(t, m.first, m.first.TCB()), m.vendor.ChainPEM()
	mustVerify(t, source, m, report)
}

// TestSourcesRefuse checks that a bad answer of a service causes an error, never a panic.
func TestSourcesRefuse(t *testing.T) {
	chip := milan(t).first
	for _, status := range []int{400, 403, 404, 429, 503} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		defer server.Close()
		for _, source := range everySource(server.URL) {
			_, err := source.Chain(t.Context(), Wanted{Chip: chip.ID(), TCB: chip.TCB()})
			kind, _ := transientKind(err)
			want := map[int]*refusal.Kind{429: refusal.Throttled, 503: refusal.Unavailable}[status]
			if err == nil || kind != want {
				t.Errorf("%s with %d: got %v", source, status, err)
			}
		}
	}
	for _, body := range []string{"", "{}", "garbage", strings.Repeat("-", maxDocument+1)} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		defer server.Close()
		for _, source := range everySource(server.URL) {
			if _, err := source.Chain(t.Context(), Wanted{Chip: chip.ID(), TCB: chip.TCB()}); err == nil {
				t.Errorf("%s: %.10q was accepted as a chain", source, body)
			}
		}
	}
}

func everySource(base string) []Source {
	return []Source{
		NewTHIMSource(newClient(), base, ""), NewAzureCacheSource(newClient(), base, "", ""), NewKDSSource(newClient(), base),
	}
}
