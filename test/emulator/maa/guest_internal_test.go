package maa

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/vcek"
	"skr/attest/vtpm"
	"skr/test/samples"
	"skr/test/vtpmtest"
)

func TestAttributes(t *testing.T) {
	good := tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, NoDA: true, Decrypt: true}
	for _, test := range []struct {
		change func(*tpm2.TPMAObject)
		want   string
	}{
		{func(*tpm2.TPMAObject) {}, ""},
		{func(a *tpm2.TPMAObject) { a.FixedTPM = false }, "fixedTPM is clear"},
		{func(a *tpm2.TPMAObject) { a.FixedParent = false }, "fixedParent is clear"},
		{func(a *tpm2.TPMAObject) { a.Decrypt = false }, "decrypt is clear"},
		{func(a *tpm2.TPMAObject) { a.Restricted = true }, "restricted is set"},
		{func(a *tpm2.TPMAObject) { a.UserWithAuth = true }, "userWithAuth is set"},
	} {
		attributes := good
		test.change(&attributes)
		if got := attributeProblem(attributes); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// areaOf returns the TPM2B_PUBLIC of a key like those of clients.
func areaOf(t testing.TB, key *rsa.PublicKey, attributes tpm2.TPMAObject) []byte {
	t.Helper()
	return tpm2.Marshal(tpm2.New2B(tpm2.TPMTPublic{
		Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256, ObjectAttributes: attributes,
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{KeyBits: tpmKeyBits}),
		Unique:     tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: key.N.Bytes()}),
	}))
}

// sampleTPM returns what a client on that machine would send, except for the
// key, which was not recorded.
func sampleTPM(t *testing.T, ak *rsa.PublicKey, quote, certificate []byte, pcrs map[int][]byte) *tpmEvidence {
	t.Helper()
	encode := base64.StdEncoding.EncodeToString
	size := int(quote[0])<<8 | int(quote[1])
	wire := wireTPM{
		AikCert: encode(certificate), AikPub: encode(areaOf(t, ak, tpm2.TPMAObject{})), EncKeyPub: encode(areaOf(t, ak, tpm2.TPMAObject{})),
		PcrQuote: encode(quote[2 : 2+size]), PcrSignature: encode(quote[2+size+6:]),
	}
	for pcr, digest := range pcrs {
		wire.PcrSet = append(wire.PcrSet, pcr)
		wire.PCRs = append(wire.PCRs, wirePCR{pcr, encode(digest)})
	}
	evidence := new(tpmEvidence)
	for _, step := range []func(*tpmEvidence) error{wire.parseKeys, wire.parsePCRs, wire.parseQuote} {
		if err := step(evidence); err != nil {
			t.Fatal(err)
		}
	}
	return evidence
}

// TestRealGuestEvidence verifies the report, the AK (both ways) and the quote
// of a genuine confidential VM.
func TestRealGuestEvidence(t *testing.T) {
	var bundle struct {
		Report struct {
			SnpCvm struct {
				PlatformCertificates string
				Evidence             struct {
					TPMQuote, HCLReport, AIKCert []byte
					PCRs                         map[int][]byte
				}
			}
		}
	}
	if err := json.Unmarshal(samples.Read(t, "cvm/milan-2025-evidence.json"), &bundle); err != nil {
		t.Fatal(err)
	}
	sample := bundle.Report.SnpCvm
	hcl, err := vtpm.ParseHCL(sample.Evidence.HCLReport)
	if err != nil {
		t.Fatal(err)
	}
	ak, err := hcl.Claims().AK()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := vcek.ParsePEM([]byte(sample.PlatformCertificates))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := New(Config{
		Issuer: "https://sharedweu.weu.attest.azure.net", Roots: []*vcek.Roots{vcek.BuiltinRoots()},
		AKRoots: func() []*vtpm.Roots { return []*vtpm.Roots{vtpm.AzureRoots()} },
		Now:     func() time.Time { return time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	confidential := &guestEvidence{guestSubmission: &guestSubmission{
		snp: &submission{report: hcl.Report(), chain: chain, runtime: boundData{raw: hcl.Claims().Raw()}},
		tpm: sampleTPM(t, ak, sample.Evidence.TPMQuote, sample.Evidence.AIKCert, sample.Evidence.PCRs),
	}}
	launched := &guestEvidence{guestSubmission: &guestSubmission{tpm: confidential.tpm}}
	for name, err := range map[string]error{
		"report": instance.verifyIsolation(confidential), "AK": instance.trustAK(confidential),
		"AK by its certificate": instance.trustAK(launched), "quote": confidential.verifyQuote(),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	configuration, _ := hcl.Claims().Members()["vm-configuration"].(map[string]any)
	id, _ := configuration["vmUniqueId"].(string)
	if !confidential.machine.secureBoot || id == "" || confidential.machine.vmID != id {
		t.Errorf("the machine: %+v", confidential.machine)
	}
	confidential.tpm.pcrs[4] = vtpm.Digest{}
	if confidential.verifyQuote() == nil {
		t.Error("a changed value is accepted as the quoted one")
	}
	confidential.machine.ak = &rsa.PublicKey{N: ak.N, E: 3}
	if instance.trustAK(confidential) == nil {
		t.Error("another AK is trusted")
	}
}

// TestRealTrustedLaunch uses a genuine Trusted Launch VM. The certificate is
// Azure's, but certifies another key than the one that the VM's owner made for
// the quote.
func TestRealTrustedLaunch(t *testing.T) {
	block, _ := pem.Decode(samples.Read(t, "trusted-launch/ak.pub"))
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	made, ok := public.(*rsa.PublicKey)
	if !ok {
		t.Fatalf("ak.pub is a %T", public)
	}
	certificate := samples.Read(t, "trusted-launch/akcert_0x01C101D0.der")
	parsed, err := vtpm.ParseAKCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := New(Config{
		Issuer:  "https://sharedweu.weu.attest.azure.net",
		AKRoots: func() []*vtpm.Roots { return []*vtpm.Roots{vtpm.AzureRoots()} },
		Now:     func() time.Time { return time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	trust := func(ak *rsa.PublicKey) error {
		return instance.trustAK(&guestEvidence{guestSubmission: &guestSubmission{tpm: &tpmEvidence{certificate: certificate, ak: &tpmKey{rsa: ak}}}})
	}
	if err := trust(parsed.Key()); err != nil {
		t.Errorf("the certified key: %v", err)
	}
	if err := trust(made); err == nil || !strings.Contains(err.Error(), "for another key than the AikPub") {
		t.Errorf("the key of the quote: %v", err)
	}
}

// softInfo returns a well-formed AttestationInfo without the use of a TPM.
func softInfo(t testing.TB) (info []byte, tpm wireTPM) {
	t.Helper()
	ak, err := vtpmtest.NewAK()
	if err != nil {
		t.Fatal(err)
	}
	log := vtpmtest.SecureBootLog(true)
	quote, err := ak.Quote(vtpmtest.QuoteOptions{PCRs: log.PCRs()})
	if err != nil {
		t.Fatal(err)
	}
	area := areaOf(t, ak.Public(), tpm2.TPMAObject{FixedTPM: true, FixedParent: true, Decrypt: true})
	attest, signature, err := ak.Certify(area, nil)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	size := int(quote[0])<<8 | int(quote[1])
	tpm = wireTPM{
		AikCert: encode(ak.Index()), AikPub: encode(area), EncKeyPub: encode(area),
		PcrQuote: encode(quote[2 : 2+size]), PcrSignature: encode(quote[2+size+6:]), PcrSet: []int{0, 1, 2, 3, 4, 5, 6, 7},
		EncKeyCertifyInfo: encode(attest), EncKeyCertifyInfoSignature: encode(signature),
	}
	for pcr := range 8 {
		value := log.PCRs()[pcr]
		tpm.PCRs = append(tpm.PCRs, wirePCR{pcr, encode(value[:])})
	}
	text, err := json.Marshal(wireGuest{
		AttestationProtocolVersion: protocolVersion, OSType: encode([]byte("Linux")), OSDistro: "VQ", OSBuild: "VQ",
		OSVersionMajor: json.RawMessage("1"), OSVersionMinor: json.RawMessage(`"2"`), TcgLogs: encode(log.Raw()),
		ClientPayload: map[string]string{"nonce": "AAAA"}, TpmInfo: tpm, IsolationInfo: wireIsolation{Type: isolationTrustedLaunch},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text, tpm
}

// FuzzGuest checks that an accepted request keeps its contents, and that a
// refusal blames the caller.
func FuzzGuest(f *testing.F) {
	info, _ := softInfo(f)
	f.Add(info)
	f.Add([]byte(strings.Replace(string(info), `"TrustedLaunch"`, `"SevSnp"`, 1)))
	f.Add([]byte(`{"AttestationProtocolVersion":"2.0","OSType":"VQ","OSDistro":"VQ","OSBuild":"VQ","OSVersionMajor":1,"OSVersionMinor":"\u0031"}`))
	if _, err := parseGuest(wrap(info)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, info []byte) {
		submitted, err := parseGuest(wrap(info))
		if err != nil {
			if _, is := errors.AsType[*problem](err); !is {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if submitted.tpm.selection == 0 || len(submitted.tpm.pcrs) != len(submitted.tpm.pcrSet) {
			t.Fatal("the registers are not those of the set")
		}
		_ = (&guestEvidence{guestSubmission: submitted}).replayLog() // it must not panic
	})
}

func wrap(info []byte) []byte {
	body, _ := json.Marshal(map[string]string{"AttestationInfo": base64.RawURLEncoding.EncodeToString(info)}) // strings are JSON
	return body
}

// FuzzTPM fuzzes TpmInfo directly: it is inside two layers of base64, which a
// fuzzer does not penetrate.
func FuzzTPM(f *testing.F) {
	_, tpm := softInfo(f)
	decode := func(text string) []byte {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		return raw
	}
	f.Add(decode(tpm.AikPub), decode(tpm.EncKeyPub), decode(tpm.PcrQuote), decode(tpm.EncKeyCertifyInfo))
	f.Add([]byte{0, 4, 0, 1, 0, 0xb}, []byte{0, 0}, []byte("\xffTCG"), []byte("\xffTCG\x80\x17"))
	f.Fuzz(func(t *testing.T, ak, key, quote, certification []byte) {
		encode := base64.StdEncoding.EncodeToString
		wire := tpm
		wire.AikPub, wire.EncKeyPub, wire.PcrQuote, wire.EncKeyCertifyInfo = encode(ak), encode(key), encode(quote), encode(certification)
		evidence, err := wire.parse()
		if err != nil {
			if _, is := errors.AsType[*problem](err); !is {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if evidence.ak.rsa.N.BitLen() != tpmKeyBits || evidence.key.rsa.N.BitLen() != tpmKeyBits {
			t.Fatal("a key has another size")
		}
		guest := &guestEvidence{guestSubmission: &guestSubmission{tpm: evidence}}
		_, _ = guest.verifyQuote(), guest.verifyKey() // they must not panic
	})
}
