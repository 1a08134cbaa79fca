package vcek

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-sev-guest/verify/testdata"
	"github.com/google/go-sev-guest/verify/trust"

	"skr/attest/snp"
	"skr/test/rsakey"
	"skr/test/samples"
	"skr/test/snptest"
)

// amdFiles lists AMD's published files of each product: ASK and ARK, ASVK and ARK.
var amdFiles = []string{
	string(trust.AskArkMilanVcekBytes) + "\n" + string(trust.AskArkMilanVlekBytes),
	string(trust.AskArkGenoaVcekBytes) + "\n" + string(trust.AskArkGenoaVlekBytes),
	string(trust.AskArkTurinVcekBytes) + "\n" + string(trust.AskArkTurinVlekBytes),
}

// TestPublicIssuers pins AMD's certificates by the SHA-256 of their DER. An update of the
// module that contains them cannot change them unnoticed.
func TestPublicIssuers(t *testing.T) {
	want := map[string]string{
		"ARK-Milan":      "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
		"ARK-Genoa":      "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
		"ARK-Turin":      "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
		"SEV-Milan":      "67d303bd3905fd38db8b20e0793699870e7fa612eaad5dec358293fd8c0bac1b",
		"SEV-Genoa":      "5464738c1546aed5f2cecf1dc98c5c960a92e8913238a61711bc90ec6e828521",
		"SEV-Turin":      "5b77ef5fe7a7a004fd9032668fba9d0fda22f88c4442069a479636a6ae3b3185",
		"SEV-VLEK-Milan": "c5e081f59b7efab1fe2f8b505e159704e72f29cab7ef7cf628a05a42439082f5",
		"SEV-VLEK-Genoa": "197e610743a917d6b9bb982a5a9226ccc0a15b611be0619e626aca9151457372",
		"SEV-VLEK-Turin": "104e10a8bd060a3c20a434261a57d0588fd65a88915b4f65b08bdecaf8df1a3c",
	}
	got := map[string]string{}
	for _, issuer := range publicIssuers() {
		sum := sha256.Sum256(issuer.Raw)
		got[issuer.Subject.CommonName] = hex.EncodeToString(sum[:])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The built-in certificates are those downloaded from AMD.
func TestPublicIssuersAreAMDs(t *testing.T) {
	for _, product := range []string{"milan", "genoa", "turin"} {
		published, err := parseAllCertificates(samples.Read(t, "amd-roots/"+product+"_ask_ark_asvk.pem"))
		if err != nil || len(published) != 3 {
			t.Fatalf("%s: %d certificates, %v", product, len(published), err)
		}
		for _, certificate := range published {
			isBuiltIn := false
			for _, issuer := range publicIssuers() {
				isBuiltIn = isBuiltIn || issuer.Equal(certificate)
			}
			if !isBuiltIn {
				t.Errorf("%s is not built in", certificate.Subject)
			}
		}
	}
}

// A genuine report verifies with its VCEK alone and with any of AMD's certificates in any
// order. The chain reports which certificates were added.
func TestCompleted(t *testing.T) {
	report := parsed(t, testdata.AttestationBytes)
	leaf := pemOf(testdata.VcekBytes)
	ask, ark, _ := strings.Cut(strings.TrimSpace(string(trust.AskArkMilanVcekBytes)), "-----END CERTIFICATE-----\n")
	ask += "-----END CERTIFICATE-----\n"
	ark += "\n"
	for _, test := range []struct{ name, text, completed string }{
		{"whole", leaf + ask + ark, ""},
		{"VCEK alone", leaf, "AMD's public ASK and ARK"},
		{"VCEK and ASK", ask + leaf, "AMD's public ARK"},
		{"VCEK and ARK", ark + leaf, "AMD's public ASK"},
		{"all of Milan first", amdFiles[0] + leaf, ""},
		{"all of AMD's last", leaf + strings.Join(amdFiles, ""), ""},
		{"another product's", leaf + amdFiles[2], "AMD's public ASK and ARK"},
	} {
		t.Run(test.name, func(t *testing.T) {
			chain := mustParse(t, []byte(test.text))
			at := chain.leaf.NotBefore.AddDate(1, 0, 0)
			if err := chain.Verify(report, BuiltinRoots(), at); err != nil {
				t.Error(err)
			}
			if chain.Completed() != test.completed {
				t.Errorf("completed with %q, want %q", chain.Completed(), test.completed)
			}
			if want := mustParse(t, []byte(leaf+ask+ark)); !bytes.Equal(chain.PEM(), want.PEM()) {
				t.Error("the PEM does not hold the whole chain")
			}
			checkError(t, chain.Verify(report, milan(t).roots, at), "not among the trusted")
			checkError(t, chain.Verify(report, nil, at), "not among the trusted")
		})
	}
}

// Completion does not make a chain genuine. A leaf that names AMD's ASK gets AMD's ASK,
// which did not sign it.
func TestCompletedIsVerified(t *testing.T) {
	m := milan(t)
	report := reportOf(t, m.first, snptest.Options{})
	ask, key := forgedASK(t)
	leaf := issue(t, chainOf(t, m.first).leaf, ask, chainOf(t, m.first).key, key)
	forged := []*x509.Certificate{leaf, ask}
	amd, err := parseAllCertificates([]byte(amdFiles[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name         string
		certificates []*x509.Certificate
		wrong        string
	}{
		{"leaf alone", forged[:1], "leaf: crypto/rsa: verification error"},
		{"with its ASK", forged, "intermediate: crypto/rsa: verification error"},
		{"with AMD's and its ASK", append(slices.Clone(amd), forged...), "intermediate: crypto/rsa: verification error"},
		{"with its ASK and AMD's", append(slices.Clone(forged), amd...), "intermediate: crypto/rsa: verification error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			chain, err := NewChain(test.certificates...)
			if err != nil {
				t.Fatal(err)
			}
			if err := chain.VerifySignature(report); err != nil {
				t.Errorf("the leaf did not sign the report: %v", err)
			}
			checkError(t, chain.Verify(report, BuiltinRoots(), now), test.wrong)
			checkError(t, chain.Verify(report, m.roots, now), "not among the trusted")
		})
	}
}

// forgedASK has the name of AMD's Milan ASK and of its issuer.
func forgedASK(t *testing.T) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsakey.Generate(2048)
	if err != nil {
		t.Fatal(err)
	}
	genuine := publicIssuers()[0]
	ark := publicIssuers()[slices.IndexFunc(publicIssuers(), func(c *x509.Certificate) bool { return c.Subject.CommonName == "ARK-Milan" })]
	return issue(t, genuine, ark, &key.PublicKey, key), key
}

// issue signs a copy of template with key, in the name of parent.
func issue(t *testing.T, template, parent *x509.Certificate, public any, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	body, name := *template, *parent
	body.SignatureAlgorithm, body.ExtraExtensions = x509.SHA384WithRSAPSS, template.Extensions
	name.PublicKey = &key.PublicKey
	der, err := x509.CreateCertificate(rand.Reader, &body, &name, public, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func foreignCertificate(t *testing.T) *x509.Certificate {
	t.Helper()
	leaf, err := milan(t).first.LyingVCEK(milan(t).first.TCB(), snptest.Lies{Template: func(c *x509.Certificate) { c.Subject.CommonName = "vault" }})
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := parseAllCertificates(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return certificates[0]
}

// Silicon from another vendor has other issuers. Its chain is not completed.
func TestOtherSiliconIsNotCompleted(t *testing.T) {
	for _, make := range []func(testing.TB) *maker{milan, genoa, turin} {
		leaf, ask, _ := blocks(t, chainPEM(t, make(t).first, make(t).first.TCB()))
		for _, text := range []string{leaf, leaf + ask} {
			_, err := ParsePEM([]byte(text))
			checkError(t, err, "whose certificate is not here and not one of AMD's")
		}
	}
}

// A VLEK needs the ASVK.
func TestCompletedVLEK(t *testing.T) {
	text, err := milan(t).first.VLEK(milan(t).first.TCB())
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := parseAllCertificates(text)
	if err != nil {
		t.Fatal(err)
	}
	_, key := forgedASK(t)
	chain, err := NewChain(issue(t, certificates[0], publicIssuers()[2], certificates[0].PublicKey, key))
	if err != nil {
		t.Fatal(err)
	}
	if got := chain.Completed(); got != "AMD's public ASVK and ARK" || chain.intermediate.Subject.CommonName != "SEV-VLEK-Milan" {
		t.Errorf("completed with %q, %s", got, chain.intermediate.Subject)
	}
	report := reportOf(t, milan(t).first, snptest.Options{SigningKey: snp.VLEK})
	checkError(t, chain.Verify(report, BuiltinRoots(), now), "leaf: crypto/rsa: verification error")
}

// Issuers of other silicon in the file are ignored, wherever they appear.
func TestOtherIssuersBeside(t *testing.T) {
	m := milan(t)
	leaf, ask, ark := blocks(t, chainPEM(t, m.first, m.first.TCB()))
	report := reportOf(t, m.first, snptest.Options{})
	for _, text := range []string{amdFiles[0] + leaf + ask + ark, leaf + ask + ark + amdFiles[0]} {
		if err := mustParse(t, []byte(text)).Verify(report, m.roots, now); err != nil {
			t.Error(err)
		}
	}
}

// The error names an issuer that is not built in.
func TestUnknownIssuer(t *testing.T) {
	m := milan(t)
	leaf, err := x509.ParseCertificate(chainOf(t, m.first).leaf.Raw)
	if err != nil {
		t.Fatal(err)
	}
	leaf.RawIssuer, leaf.Issuer.CommonName = []byte{0x30, 0}, "SEV-Venice"
	_, err = NewChain(leaf)
	checkError(t, err, `issued by "SEV-Venice", whose certificate is not here`)
}

// The genuine VCEKs of Azure's Turin machines and of Milan are completed.
func TestCompletedSamples(t *testing.T) {
	for _, name := range []string{"turin/vcek_turin_azure.pem", "turn2/10-lone-vcek/milanv0-vcek.pem"} {
		chain := mustParse(t, samples.Read(t, name))
		if err := chain.VerifyCertificates(BuiltinRoots(), chain.leaf.NotBefore.Add(time.Hour)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if chain.Completed() != "AMD's public ASK and ARK" {
			t.Errorf("%s: completed with %q", name, chain.Completed())
		}
	}
}
