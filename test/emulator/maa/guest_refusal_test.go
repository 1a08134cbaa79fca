package maa_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/snp"
	"skr/attest/vtpm"
	"skr/test/azureguest"
	"skr/test/emulator/maa"
	"skr/test/swtpm"
)

func checkRefusal(t *testing.T, instance http.Handler, body []byte, code, text string) {
	t.Helper()
	answer := post(instance, azureguest.Path, body)
	var refusal struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &refusal); err != nil {
		t.Fatal(err)
	}
	if answer.Code != http.StatusBadRequest || refusal.Error.Code != code || !strings.Contains(refusal.Error.Message, text) {
		t.Errorf("status %d: %s\nwant %s, %q", answer.Code, answer.Body, code, text)
	}
}

// mutation is one fault, and the text of its refusal.
type mutation struct {
	name   string
	mutate func(*azureguest.Info)
	want   string
}

func flip(octets []byte, at int) []byte {
	flipped := bytes.Clone(octets)
	flipped[(at+len(flipped))%len(flipped)] ^= 1
	return flipped
}

func (g *guest) refuse(t *testing.T, instance http.Handler, mutations []mutation) {
	t.Helper()
	good := g.Info(t)
	g.attest(t, instance, good.Body(t))
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			info := good.Clone(t)
			m.mutate(info)
			checkRefusal(t, instance, info.Body(t), "InvalidParameter", m.want)
		})
	}
}

func TestRefusedQuotes(t *testing.T) {
	g := newGuest(t, false, swtpm.Config{})
	g.refuse(t, g.guestInstance(t, maa.Config{}), []mutation{
		{"magic", func(i *azureguest.Info) { i.TpmInfo.PcrQuote = flip(i.TpmInfo.PcrQuote, 0) }, "PcrQuote does not begin with TPM_GENERATED_VALUE"},
		{"with a size", func(i *azureguest.Info) { i.TpmInfo.PcrQuote = append([]byte{0, 145}, i.TpmInfo.PcrQuote...) }, "PcrQuote does not begin with"},
		{"type", func(i *azureguest.Info) {
			i.TpmInfo.PcrQuote, i.TpmInfo.PcrSignature = i.TpmInfo.EncKeyCertifyInfo, i.TpmInfo.EncKeyCertifyInfoSignature
		}, "its type is 0x8017"},
		{"content", func(i *azureguest.Info) { i.TpmInfo.PcrQuote = flip(i.TpmInfo.PcrQuote, -1) }, "the attestation key has not signed it"},
		{"signature", func(i *azureguest.Info) { i.TpmInfo.PcrSignature = flip(i.TpmInfo.PcrSignature, 9) }, "the attestation key has not signed it"},
		{"TPMT_SIGNATURE", func(i *azureguest.Info) {
			i.TpmInfo.PcrSignature = append([]byte{0, 0x14, 0, 0xb, 1, 0}, i.TpmInfo.PcrSignature...)
		}, "PcrSignature has 262 bytes"},
		{"one register fewer", func(i *azureguest.Info) {
			i.TpmInfo.PcrSet, i.TpmInfo.PCRs = i.TpmInfo.PcrSet[:7], i.TpmInfo.PCRs[:7]
		}, "the quote is over PCR 0-7, want 0-6"},
		{"one register more", func(i *azureguest.Info) {
			i.TpmInfo.PcrSet = append(i.TpmInfo.PcrSet, 8)
			i.TpmInfo.PCRs = append(i.TpmInfo.PCRs, azureguest.PCR{Index: 8, Digest: make([]byte, 32)})
		}, "the quote is over PCR 0-7, want 0-8"},
		{"value", func(i *azureguest.Info) { i.TpmInfo.PCRs[4].Digest = flip(i.TpmInfo.PCRs[4].Digest, 0) }, "the values have the digest"},
		{"values exchanged", func(i *azureguest.Info) {
			p := i.TpmInfo.PCRs
			p[0].Digest, p[1].Digest = p[1].Digest, p[0].Digest
		}, "the values have the digest"},
		{"a value missing", func(i *azureguest.Info) { i.TpmInfo.PCRs = i.TpmInfo.PCRs[1:] }, "not those of the PcrSet"},
		{"a value twice", func(i *azureguest.Info) { i.TpmInfo.PCRs = append(i.TpmInfo.PCRs, i.TpmInfo.PCRs[0]) }, "not those of the PcrSet"},
		{"a register twice", func(i *azureguest.Info) { i.TpmInfo.PcrSet = append(i.TpmInfo.PcrSet, 0) }, "not those of the PcrSet"},
		{"no such register", func(i *azureguest.Info) { i.TpmInfo.PcrSet = append(i.TpmInfo.PcrSet, 24) }, "PcrSet must name PCRs from 0 to 23"},
		{"no registers", func(i *azureguest.Info) { i.TpmInfo.PcrSet, i.TpmInfo.PCRs = nil, nil }, "PcrSet must name PCRs"},
		{"short value", func(i *azureguest.Info) { i.TpmInfo.PCRs[0].Digest = make([]byte, 20) }, "has 20 bytes"},
	})
}

func TestRefusedKeys(t *testing.T) {
	g := newGuest(t, true, swtpm.Config{})
	other := g.Info(t).Clone(t)
	g.AddKey(t, other, g.NewKey(t, 0))
	certify := func(i, from *azureguest.Info) {
		i.TpmInfo.EncKeyPub, i.TpmInfo.EncKeyCertifyInfo = from.TpmInfo.EncKeyPub, from.TpmInfo.EncKeyCertifyInfo
		i.TpmInfo.EncKeyCertifyInfoSignature = from.TpmInfo.EncKeyCertifyInfoSignature
	}
	attributes := func(change func(*tpm2.TPMAObject)) func(*azureguest.Info) {
		return func(i *azureguest.Info) { g.certified(t, i, func(a *tpm2.TPMTPublic) { change(&a.ObjectAttributes) }) }
	}
	g.refuse(t, g.guestInstance(t, maa.Config{}), []mutation{
		{"magic", func(i *azureguest.Info) { i.TpmInfo.EncKeyCertifyInfo = flip(i.TpmInfo.EncKeyCertifyInfo, 0) }, "EncKeyCertifyInfo does not begin with"},
		{"type", func(i *azureguest.Info) {
			i.TpmInfo.EncKeyCertifyInfo, i.TpmInfo.EncKeyCertifyInfoSignature = i.TpmInfo.PcrQuote, i.TpmInfo.PcrSignature
		}, "its type is 0x8018, want 0x8017"},
		{"more behind", func(i *azureguest.Info) { i.TpmInfo.EncKeyCertifyInfo = append(i.TpmInfo.EncKeyCertifyInfo, 0) }, "EncKeyCertifyInfo is malformed"},
		{"signature", func(i *azureguest.Info) {
			i.TpmInfo.EncKeyCertifyInfoSignature = flip(i.TpmInfo.EncKeyCertifyInfoSignature, 9)
		}, "the attestation key has not signed it"},
		{"another key", func(i *azureguest.Info) { i.TpmInfo.EncKeyPub = other.TpmInfo.EncKeyPub }, "the certification is of another key"},
		{"no size", func(i *azureguest.Info) { i.TpmInfo.EncKeyPub = i.TpmInfo.EncKeyPub[2:] }, "EncKeyPub is not a TPM2B_PUBLIC"},
		{"more behind the key", func(i *azureguest.Info) { i.TpmInfo.EncKeyPub = append(i.TpmInfo.EncKeyPub, 0) }, "EncKeyPub is not a TPM2B_PUBLIC"},
		{"of other registers", func(i *azureguest.Info) { certify(i, other) }, "authPolicy is not PolicyPCR"},
		{"no policy", func(i *azureguest.Info) {
			g.certified(t, i, func(a *tpm2.TPMTPublic) { a.AuthPolicy = tpm2.TPM2BDigest{} })
		}, "authPolicy is not PolicyPCR"},
		{"password", attributes(func(a *tpm2.TPMAObject) { a.UserWithAuth = true }), "userWithAuth is set"},
		{"no decryption", attributes(func(a *tpm2.TPMAObject) { a.Decrypt, a.SignEncrypt = false, true }), "decrypt is clear"},
		{"restricted", func(i *azureguest.Info) {
			g.certified(t, i, func(a *tpm2.TPMTPublic) {
				a.ObjectAttributes.Restricted = true
				a.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
					KeyBits: 2048, Symmetric: tpm2.TPMTSymDefObject{
						Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
						Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
					},
				})
			})
		}, "restricted is set"},
		{"may be moved", attributes(func(a *tpm2.TPMAObject) { a.FixedTPM, a.FixedParent = false, false }), "fixedTPM is clear"},
	})
}

func TestRefusedIsolation(t *testing.T) {
	g := newGuest(t, true, swtpm.Config{})
	stranger := newMachine(t, snp.Milan)
	bound := func(claims string) func(*azureguest.Info) {
		return func(i *azureguest.Info) { i.SetReport(t, g.report(t, []byte(claims)), g.Chain, []byte(claims)) }
	}
	ak := func(i *azureguest.Info) string { return string(i.IsolationInfo.Evidence.RunTimeData) }
	good := ak(g.Info(t))
	g.refuse(t, g.guestInstance(t, maa.Config{}), []mutation{
		{"another AK", func(i *azureguest.Info) { i.TpmInfo.AikPub = i.TpmInfo.EncKeyPub }, "AikPub is not the HCLAkPub"},
		{"a byte of the claims", func(i *azureguest.Info) {
			i.IsolationInfo.Evidence.RunTimeData = []byte(strings.Replace(ak(i), `"user-data":"0`, `"user-data":"1`, 1))
		}, "does not match the REPORT_DATA"},
		{"white space behind the claims", func(i *azureguest.Info) { i.IsolationInfo.Evidence.RunTimeData = []byte(ak(i) + " ") }, "does not match the REPORT_DATA"},
		{"no claims", func(i *azureguest.Info) { i.IsolationInfo.Evidence.RunTimeData = []byte("[]") }, "RunTimeData is not a JSON object"},
		{"the AK under another name", bound(strings.Replace(good, "HCLAkPub", "HCLSkPub", 1)), "0 keys HCLAkPub"},
		{"two AKs", bound(strings.Replace(good, "HCLEkPub", "HCLAkPub", 1)), "2 keys HCLAkPub"},
		{"the EK as AK", bound(strings.NewReplacer("HCLEkPub", "HCLAkPub", "HCLAkPub", "HCLEkPub").Replace(good)), "AikPub is not the HCLAkPub"},
		{"a report of another processor", func(i *azureguest.Info) {
			claims := i.IsolationInfo.Evidence.RunTimeData
			i.SetReport(t, (&guest{machine: stranger}).report(t, claims), chainOf(t, stranger), claims)
		}, "SNP report cannot be verified"},
		{"another processor's certificates", func(i *azureguest.Info) {
			claims := i.IsolationInfo.Evidence.RunTimeData
			i.SetReport(t, g.report(t, claims), chainOf(t, stranger), claims)
		}, "SNP report cannot be verified"},
		{"a bit of the report", func(i *azureguest.Info) {
			claims := i.IsolationInfo.Evidence.RunTimeData
			i.SetReport(t, flip(g.report(t, claims), 0x90), g.Chain, claims)
		}, "SNP report cannot be verified"},
		{"no evidence", func(i *azureguest.Info) { i.IsolationInfo.Evidence = nil }, "must have Evidence for SevSnp"},
		{"Trusted Launch with evidence", func(i *azureguest.Info) { i.IsolationInfo.Type = "TrustedLaunch" }, "and for nothing else"},
		{"as TDX", func(i *azureguest.Info) { i.IsolationInfo.Type = "Tdx" }, "The Proof is malformed"},
		{"no type", func(i *azureguest.Info) { i.IsolationInfo.Type = "" }, "is not known"},
		{"as Trusted Launch", func(i *azureguest.Info) {
			i.IsolationInfo = azureguest.Isolation{Type: "TrustedLaunch"}
			i.TpmInfo.AikCert = nil
		}, "AikCert cannot be verified"},
	})
	denies := g.guestInstance(t, maa.Config{Policy: "version=1.0;authorizationrules{=>deny();};"})
	checkRefusal(t, denies, g.Info(t).Body(t), "PolicyEvaluationError", "denies")
}

func TestRefusedCertificates(t *testing.T) {
	elsewhere, err := swtpm.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	g, other := newGuest(t, false, swtpm.Config{}), newGuest(t, false, swtpm.Config{Authority: elsewhere})
	foreign := other.Info(t)
	instance := g.guestInstance(t, maa.Config{})
	g.refuse(t, instance, []mutation{
		{"none", func(i *azureguest.Info) { i.TpmInfo.AikCert = nil }, "AikCert cannot be verified"},
		{"of another machine", func(i *azureguest.Info) { i.TpmInfo.AikCert = foreign.TpmInfo.AikCert }, "for another key than the AikPub"},
		{"more than zeros behind it", func(i *azureguest.Info) { i.TpmInfo.AikCert = append(i.TpmInfo.AikCert, 1) }, "not DER that zeros follow"},
		{"an authority's", func(i *azureguest.Info) { i.TpmInfo.AikCert = g.vtpm.Root().Raw }, "is not for a TPM's attestation key"},
		{"signature", func(i *azureguest.Info) { i.TpmInfo.AikCert = flip(i.TpmInfo.AikCert, -1) }, "AikCert cannot be verified"},
	})
	checkRefusal(t, instance, foreign.Body(t), "InvalidParameter", "AikCert cannot be verified")
	checkRefusal(t, g.guestInstance(t, maa.Config{AKRoots: func() []*vtpm.Roots { return nil }}), g.Info(t).Body(t), "InvalidParameter", "no authorities")
	checkRefusal(t, g.instance(t, maa.Config{}), g.Info(t).Body(t), "InvalidParameter", "no authorities")
	late := g.guestInstance(t, maa.Config{Now: func() time.Time { return time.Now().AddDate(1, 0, 0) }})
	checkRefusal(t, late, g.Info(t).Body(t), "InvalidParameter", "AikCert cannot be verified")
}

// TestRefusedLogs checks that a log that does not match the registers is
// refused.
func TestRefusedLogs(t *testing.T) {
	g := newGuest(t, true, swtpm.Config{})
	instance := g.guestInstance(t, maa.Config{})
	log := g.vtpm.EventLog()
	header := bytes.Index(log, []byte("Spec ID")) + 41 // up to and including its last byte
	g.refuse(t, instance, []mutation{
		{"header alone", func(i *azureguest.Info) { i.TcgLogs = log[:header] }, "has no events"},
		{"an event of another digest", func(i *azureguest.Info) { i.TcgLogs = flip(log, header+45) }, "TcgLogs do not match the PCRs"},
		{"cut", func(i *azureguest.Info) { i.TcgLogs = log[:len(log)-1] }, "TcgLogs cannot be read"},
		{"no log", func(i *azureguest.Info) { i.TcgLogs = []byte("a text") }, "TcgLogs cannot be read"},
	})
	if err := g.vtpm.Extend(4, []byte("a program that was not logged")); err != nil {
		t.Fatal(err)
	}
	g.Key = g.NewKey(t, azureguest.BootPCRs...)
	checkRefusal(t, instance, g.Info(t).Body(t), "InvalidParameter", "PCR 4 is")
	without := g.Info(t)
	without.TcgLogs = nil
	if claims := g.attest(t, instance, without.Body(t)); claims["secureboot"] != false {
		t.Errorf("without a log: %v", claims)
	}
}

func TestRefusedForms(t *testing.T) {
	g := newGuest(t, false, swtpm.Config{})
	instance := g.guestInstance(t, maa.Config{})
	info := string(marshal(t, g.Info(t)))
	change := func(old, with string) []byte {
		if !strings.Contains(info, old) {
			t.Fatalf("%q is not in the request", old)
		}
		return azureguest.Wrap(t, []byte(strings.Replace(info, old, with, 1)))
	}
	for _, test := range []struct {
		name string
		body []byte
		want string
	}{
		{"nothing", nil, "The body"},
		{"no members", []byte(`{}`), "AttestationInfo is required"},
		{"another member", []byte(`{"AttestationInfo":"e30","report":"e30"}`), "unknown field"},
		{"a member twice", []byte(`{"AttestationInfo":"e30","AttestationInfo":"e30"}`), "twice"},
		{"text behind", []byte(`{"AttestationInfo":"e30"}{}`), "after the JSON value"},
		{"the standard alphabet", []byte(`{"AttestationInfo":"e+/0"}`), "Unknown base64 character: 43"},
		{"no object", azureguest.Wrap(t, []byte(`[]`)), "not a JSON object"},
		{"protocol", change(`"2.0"`, `"1.0"`), "AttestationProtocolVersion"},
		{"unknown member", change(`"TcgLogs"`, `"TcgLog"`), "unknown field"},
		{"member twice", change(`"OSType"`, `"OSDistro":"","OSType"`), "twice"},
		{"version", change(`"OSVersionMajor":24`, `"OSVersionMajor":"x"`), "OSVersionMajor must be"},
		{"no version", change(`"OSVersionMinor":4,`, ``), "OSVersionMinor must be"},
		{"system", change(`"OSType":"TGludXg="`, `"OSType":""`), "OSType is required"},
		{"base64", change(`"OSType":"TGludXg="`, `"OSType":"TGludXg=="`), "OSType has wrong base64 padding"},
		{"line break", change(`"OSType":"TGludXg="`, `"OSType":"TGlu\ndXg"`), "OSType is not base64"},
		{"stray bits", change(`"OSType":"TGludXg="`, `"OSType":"TGludXh"`), "OSType is not base64"},
		{"payload", change(`"nonce":"`, `"nonce":"!!!!`), `"nonce" in the ClientPayload is not base64`},
		{"payload of numbers", change(`"ClientPayload":{`, `"ClientPayload":{"n":1,`), "not a JSON object of the right form"},
		{"key", change(`"AikPub":"`, `"AikPub":"AAAA`), "AikPub is not a TPM2B_PUBLIC"},
	} {
		t.Run(test.name, func(t *testing.T) { checkRefusal(t, instance, test.body, "InvalidParameter", test.want) })
	}
	if answer := post(instance, "/attest/AzureGuest", g.Info(t).Body(t)); answer.Code != http.StatusBadRequest {
		t.Errorf("without an api-version: status %d", answer.Code)
	}
	if loaded, err := g.vtpm.Loaded(); err != nil || loaded != 0 {
		t.Errorf("%d objects stayed in the TPM (%v)", loaded, err)
	}
}
