package fragment

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/veraison/go-cose"

	"skr/internal/jose/sign1"
	"skr/internal/operator/execpolicy"
)

const feed = "registry.example/app"

var purpose = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 60}

// signer makes a chain of a leaf, a CA and a root.
func signer(t testing.TB, name string) Signature {
	t.Helper()
	var chain []*x509.Certificate
	var issuerKey *ecdsa.PrivateKey
	for _, template := range []*x509.Certificate{authority(name + " root"), authority(name + " CA"), leaf(name)} {
		key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		issuer := template
		if issuerKey == nil {
			issuerKey = key
		} else {
			issuer = chain[0]
		}
		der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain, issuerKey = append([]*x509.Certificate{certificate}, chain...), key
	}
	issuer, err := sign1.SubjectIssuer(chain)
	if err != nil {
		t.Fatal(err)
	}
	return Signature{Key: issuerKey, Chain: chain, Issuer: issuer, Feed: feed}
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

func leaf(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, UnknownExtKeyUsage: []asn1.ObjectIdentifier{purpose},
	}
}

func compose(t testing.TB, svn uint64) []byte {
	t.Helper()
	app := execpolicy.Container{Name: "app", ID: feed + ":1", Layers: []string{strings.Repeat("0", 64)}}
	text, err := Compose(Spec{Namespace: "app", SVN: svn, Containers: []execpolicy.Container{app}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSign(t *testing.T) {
	s := signer(t, "Contoso")
	byPurpose, err := sign1.PurposeIssuer(s.Chain, purpose.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, issuer := range []string{s.Issuer, byPurpose} {
		s.Issuer = issuer
		raw, err := Sign(compose(t, 3), s)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if f.Issuer != issuer || f.Feed != feed || f.SVN != "3" || len(f.Policy.Containers) != 1 || string(f.Text()) != string(compose(t, 3)) {
			t.Errorf("parsed %+v", f)
		}
		want := execpolicy.Import{Issuer: issuer, Feed: feed, MinimumSVN: "3", Includes: []string{"containers"}}
		if got := f.Import(); got.String() != want.String() || got.Issuer != issuer {
			t.Errorf("import %v, want %v", got, want)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	good, other := signer(t, "Contoso"), signer(t, "Contoso")
	small, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := string(compose(t, 1))
	for name, c := range map[string]struct {
		text  string
		spoil func(*Signature)
		want  string
	}{
		"tag":               {text, func(s *Signature) { s.Feed += ":1" }, "no tag or digest"},
		"digest":            {text, func(s *Signature) { s.Feed += "@sha256:00" }, "no tag or digest"},
		"no feed":           {text, func(s *Signature) { s.Feed = "" }, "must be REGISTRY/REPOSITORY"},
		"another key":       {text, func(s *Signature) { s.Key = other.Key }, "is not the key's"},
		"root first":        {text, func(s *Signature) { s.Chain = []*x509.Certificate{s.Chain[2], s.Chain[1], s.Chain[0]} }, "is not the key's"},
		"P-256":             {text, func(s *Signature) { s.Key = small }, "not an EC key on P-384"},
		"leaf alone":        {text, func(s *Signature) { s.Chain = s.Chain[:1] }, "at least one CA"},
		"CA of another":     {text, func(s *Signature) { s.Chain = []*x509.Certificate{s.Chain[0], other.Chain[1], other.Chain[2]} }, "certificate 0 of the chain"},
		"issuer of another": {text, func(s *Signature) { s.Issuer = other.Issuer }, "fingerprint"},
		"top-level policy":  {strings.Replace(text, "package app", "package policy", 1), func(*Signature) {}, "belongs to the utility VM"},
		"framework":         {strings.Replace(text, "package app", "package framework", 1), func(*Signature) {}, "belongs to the utility VM"},
		"nested package":    {strings.Replace(text, "package app", "package app.b", 1), func(*Signature) {}, "must be a word"},
		"late package":      {"# comment\n" + text, func(*Signature) {}, "first line"},
		"no svn":            {strings.Replace(text, `svn := "1"`, "", 1), func(*Signature) {}, "no rule svn"},
		"semantic version":  {strings.Replace(text, `svn := "1"`, `svn := "1.0.0"`, 1), func(*Signature) {}, "not a whole number"},
		"computed":          {text + "\nsvn := input.svn", func(*Signature) {}, "rule svn: it is defined more than once"},
		"not Rego":          {"package app {", func(*Signature) {}, "is not Rego"},
	} {
		s := good
		c.spoil(&s)
		if raw, err := Sign([]byte(c.text), s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d bytes, %v; want an error about %q", name, len(raw), err, c.want)
		}
	}
}

// forge signs without the checks of Sign.
func forge(t *testing.T, text string, s Signature, change func(cose.ProtectedHeader)) []byte {
	t.Helper()
	chain := make([]any, len(s.Chain))
	for i, c := range s.Chain {
		chain[i] = c.Raw
	}
	header := cose.ProtectedHeader{cose.HeaderLabelX5Chain: chain, "iss": s.Issuer, "feed": s.Feed}
	change(header)
	key, err := cose.NewSigner(cose.AlgorithmES384, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	header.SetAlgorithm(cose.AlgorithmES384)
	raw, err := cose.Sign1(rand.Reader, key, cose.Headers{Protected: header}, []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The svn may be in the header, in the Rego, or the same in both (hcsshim, framework.rego:
// svn_ok_if_defined).
func TestHeaderSVN(t *testing.T) {
	s, text := signer(t, "Contoso"), string(compose(t, 3))
	claims := func(svn any) func(cose.ProtectedHeader) {
		return func(h cose.ProtectedHeader) {
			delete(h, "iss")
			delete(h, "feed")
			h[int64(15)] = map[any]any{int64(1): s.Issuer, int64(2): feed, "svn": svn}
		}
	}
	without := strings.Replace(text, `svn := "3"`, "", 1)
	for name, c := range map[string]struct {
		text string
		svn  any
		want string
	}{
		"equal": {text, int64(3), ""}, "header alone": {without, int64(3), ""}, "number in the Rego": {strings.Replace(text, `"3"`, "3", 1), int64(3), ""},
		"different": {text, int64(4), "the svn of the header is 4, and of the Rego 3"}, "text": {text, "3", "not an unsigned number"},
	} {
		f, err := Parse(forge(t, c.text, s, claims(c.svn)))
		if c.want == "" && (err != nil || f.SVN != "3" || f.Feed != feed) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v, want %q", name, f, err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	s, other, text := signer(t, "Contoso"), signer(t, "Contoso"), string(compose(t, 3))
	nothing := func(cose.ProtectedHeader) {}
	withKey := func(key *ecdsa.PrivateKey) Signature { s := s; s.Key = key; return s }
	good := forge(t, text, s, nothing)
	altered := []byte(strings.Replace(string(good), feed+":1", feed+":2", 1))
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"altered payload": {altered, sign1.ErrSignature},
		"another key":     {forge(t, text, withKey(other.Key), nothing), sign1.ErrSignature},
		"chain without the pinned CA": {forge(t, text, s, func(h cose.ProtectedHeader) {
			h[cose.HeaderLabelX5Chain] = h[cose.HeaderLabelX5Chain].([]any)[:2]
		}), sign1.ErrIssuer},
		"issuer of another": {forge(t, text, s, func(h cose.ProtectedHeader) { h["iss"] = other.Issuer }), sign1.ErrIssuer},
	} {
		if f, err := Parse(c.raw); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, f, err, c.want)
		}
	}
	if _, err := Parse(forge(t, "package policy\nsvn := \"1\"\n", s, nothing)); err == nil || !strings.Contains(err.Error(), "belongs to the utility VM") {
		t.Errorf("a signed top-level policy: %v", err)
	}
}

func TestAdmitted(t *testing.T) {
	s, other := signer(t, "Contoso"), signer(t, "Contoso")
	raw, err := Sign(compose(t, 3), s)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	rule := f.Import()
	change := func(change func(*execpolicy.Import)) execpolicy.Import { i := rule; change(&i); return i }
	for name, c := range map[string]struct {
		rule     execpolicy.Import
		want     string
		mismatch bool
	}{
		"equal":        {rule, "", false},
		"older":        {change(func(i *execpolicy.Import) { i.MinimumSVN = "2" }), "", false},
		"low svn":      {change(func(i *execpolicy.Import) { i.MinimumSVN = "4" }), "svn is 3, and the import wants 4", false},
		"wrong feed":   {change(func(i *execpolicy.Import) { i.Feed = "registry.example/other" }), "feed is", false},
		"tag in feed":  {change(func(i *execpolicy.Import) { i.Feed += ":1" }), "feed is", false},
		"wrong issuer": {change(func(i *execpolicy.Import) { i.Issuer = other.Issuer }), "issuer is", true},
		"no includes":  {change(func(i *execpolicy.Import) { i.Includes = nil }), "leave out what the fragment has: containers", false},
		"fragments":    {change(func(i *execpolicy.Import) { i.Includes = []string{"fragments"} }), "its includes leave out", false},
	} {
		policy := &execpolicy.Policy{Namespace: execpolicy.Namespace, Imports: []execpolicy.Import{c.rule}}
		_, err := f.Admitted(policy)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if found := f.Mismatches(policy); (len(found) == 1) != c.mismatch {
			t.Errorf("%s: mismatches %v, want %t", name, found, c.mismatch)
		}
	}
	if _, err := f.Admitted(&execpolicy.Policy{}); err == nil {
		t.Error("a policy without imports admits it")
	}
	if _, err := f.Admitted(&execpolicy.Policy{Imports: []execpolicy.Import{rule}, Unread: errors.New("rule fragments")}); err == nil {
		t.Error("a policy that was not read as a whole admits it")
	}
}

func TestFiles(t *testing.T) {
	s := signer(t, "Contoso")
	sec1, err := x509.MarshalECPrivateKey(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for text, want := range map[string]string{
		block("PRIVATE KEY", pkcs8): "",
		block("EC PARAMETERS", []byte{6, 0}) + block("EC PRIVATE KEY", sec1): "",
		block("ENCRYPTED PRIVATE KEY", pkcs8):                                "passphrase",
		block("CERTIFICATE", s.Chain[0].Raw):                                 "no private key",
		"":                                                                   "no private key",
	} {
		key, err := ParseKey([]byte(text))
		if want == "" && (err != nil || !key.Equal(s.Key)) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
	chain, err := ParseChain([]byte(block("CERTIFICATE", s.Chain[0].Raw) + "text\n" + block("CERTIFICATE", s.Chain[1].Raw)))
	if err != nil || len(chain) != 2 || !chain[0].Equal(s.Chain[0]) {
		t.Errorf("chain %v, %v", chain, err)
	}
	if _, err := ParseChain([]byte(block("PRIVATE KEY", pkcs8))); err == nil {
		t.Error("a key is read as a chain")
	}
	for text, want := range map[string]int{
		`{"layers":["00"]}`: 1, ` {"layers":["00"]}`: 1, `[{"layers":["00"]},{"layers":["01"]}]`: 2, `[]`: 0, `{}`: 0, `7`: 0, ``: 0,
		`{"layers":["00"]} x`: 0, `[{"layers":["00"]}] []`: 0,
		// A rule of framework 0.5.0, of which nothing would remain.
		`{"layers":["00"],"env_rules":[{"name":"A","name_strategy":"string","value":"1","value_strategy":"string"}]}`: 0,
	} {
		if all, err := ParseContainers([]byte(text)); len(all) != want && err == nil || (err == nil) != (want > 0) {
			t.Errorf("%s: %d containers, %v", text, len(all), err)
		}
	}
}

// TestPublishedFragments reads fragments in the forms of Azure/azure-cli-extensions,
// src/confcom/samples/fragments, and microsoft/hcsshim, fragment_test_policies (2026).
func TestPublishedFragments(t *testing.T) {
	const container = `{"command":["python3","main.py"],"env_rules":[{"pattern":"TERM=xterm","required":false,"strategy":"string"}],` +
		`"id":"r.example/hello:2.9","layers":["00"],"name":"my-image","signals":[],"working_dir":"/app"}`
	for name, c := range map[string]struct{ text, want, includes string }{
		"confcom": {"package contoso\n\nsvn := \"1\"\nframework_version := \"0.2.3\"\n\nfragments := [\n  {\n" +
			"    \"feed\": \"mcr.microsoft.com/aci/aci-cc-infra-fragment\",\n" +
			"    \"includes\": [\n      \"containers\",\n      \"fragments\"\n    ],\n" +
			"    \"issuer\": \"did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::" +
			"eku:1.3.6.1.4.1.311.76.59.1.3\",\n    \"minimum_svn\": \"4\"\n  }\n]\n\ncontainers := [" + container + "]\n", "", "containers fragments"},
		"confcom without imports": {"package contoso\n\nsvn := \"1\"\nframework_version := \"0.5.0\"\n\ncontainers := [" + container + "]\n", "", "containers"},
		"hcsshim, platform rules": {"package fragment\n\nsvn := \"1\"\nframework_version := \"0.5.0\"\n\n" +
			"platform_rules := [{\"env_rules\": [], \"mounts\": []}]\n", "", "containers"},
		"hcsshim, parameters": {"package fragment\n\nsvn := \"1\"\ncontainers := [{\"command\": parameter(\"command\"), \"layers\": [\"00\"]}]\n",
			"rule containers: its value has parameters, which each import sets", ""},
	} {
		s := signer(t, "Contoso")
		raw, err := Sign([]byte(c.text), s)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f, err := Parse(raw)
		if err != nil || f.SVN != "1" || strings.Join(f.Import().Includes, " ") != c.includes {
			t.Errorf("%s: %v, %+v", name, err, f)
		}
	}
}

func FuzzParse(f *testing.F) {
	s := signer(f, "Contoso")
	raw, err := Sign(compose(f, 3), s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{0xd2, 0x84, 0x40, 0xa0, 0x40, 0x40})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := Parse(raw); err == nil && (p.Issuer == "" || p.SVN == "" || p.Policy.Namespace == execpolicy.Namespace) {
			t.Errorf("parsed %+v", p)
		}
	})
}
