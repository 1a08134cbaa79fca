package vcek

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"skr/attest/snp"
	"skr/test/snptest"
)

// blocks splits PEM text into its three certificates.
func blocks(t *testing.T, pem []byte) (leaf, ask, ark string) {
	t.Helper()
	const end = "-----END CERTIFICATE-----\n"
	parts := strings.SplitAfter(string(pem), end)
	if len(parts) != 4 {
		t.Fatalf("%d parts", len(parts))
	}
	return parts[0], parts[1], parts[2]
}

func TestParsePEM(t *testing.T) {
	chip := milan(t).first
	pem := chainPEM(t, chip, chip.TCB())
	leaf, ask, ark := blocks(t, pem)
	other, _, _ := blocks(t, chainPEM(t, milan(t).second, milan(t).second.TCB()))
	foreign := pemOf(foreignCertificate(t).Raw)
	for _, test := range []struct {
		name, text, wrong string // wrong is part of the error; "" if there is none
	}{
		{"LF", string(pem), ""},
		{"CRLF", string(crlf(pem)), ""},
		{"blank lines", "\n" + leaf + "\r\n\n" + ask + ark + "\n ", ""},
		{"in another order", ark + ask + leaf, ""},
		{"one twice", string(pem) + ark + leaf, ""},
		{"issuers of another product", amdFiles[2] + string(pem), ""},
		{"empty", "", "no VCEK or VLEK"},
		{"issuers alone", ask + ark, "no VCEK or VLEK"},
		{"two leaves", string(pem) + other, "several VCEK or VLEK"},
		{"an unrelated certificate", string(pem) + foreign, "certificate 4, of"},
		{"text before", "x\n" + string(pem), "outside of the blocks"},
		{"text between", leaf + "x\n" + ask + ark, "outside of the blocks"},
		{"text after", string(pem) + "x", "outside of the blocks"},
		{"another type", strings.ReplaceAll(string(pem), "CERTIFICATE", "X509 CRL"), "not a plain CERTIFICATE"},
		{"headers", strings.Replace(string(pem), "CERTIFICATE-----\n", "CERTIFICATE-----\nA: b\n\n", 1), "not a plain CERTIFICATE"},
		{"cut off", string(pem[:len(pem)-30]), "malformed"},
		{"a broken block first", "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n" + string(pem), "malformed"},
		{"garbled", leaf + ask + strings.Replace(ark, "MII", "AII", 1), "certificate 3"},
		{"too long", string(pem) + strings.Repeat("\n", maxDocument), "more than 65536"},
	} {
		t.Run(test.name, func(t *testing.T) {
			chain, err := ParsePEM([]byte(test.text))
			checkError(t, err, test.wrong)
			if err == nil && !bytes.Equal(chain.PEM(), pem) {
				t.Errorf("PEM gives\n%s", chain.PEM())
			}
		})
	}
}

func checkError(t *testing.T, err error, wrong string) {
	t.Helper()
	switch {
	case wrong == "" && err != nil:
		t.Errorf("got error %v", err)
	case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)):
		t.Errorf("got error %v, want one with %q", err, wrong)
	}
}

func TestChainNamesTCB(t *testing.T) {
	for _, make := range []func(testing.TB) *maker{milan, genoa, turin} {
		chip := make(t).newChip(t)
		levels := snp.Components{Bootloader: 3, TEE: 1, SNP: 24, Microcode: 211}
		if chip.Vendor() == turin(t).vendor {
			levels.FMC = 255
		}
		chip.SetTCB(levels)
		chain := chainOf(t, chip)
		if chain.TCB() != chip.TCB() || chain.Product() != chip.TCB().Product() {
			t.Errorf("got %s %s, want %s %s", chain.Product(), chain.TCB(), chip.TCB().Product(), chip.TCB())
		}
	}
}

func TestParseTHIM(t *testing.T) {
	for _, make := range []func(testing.TB) *maker{milan, turin} {
		chip := make(t).first
		document := thimOf(t, chip, chip.TCB())
		chain, err := ParseTHIM(document)
		if err != nil || !bytes.Equal(chain.PEM(), chainPEM(t, chip, chip.TCB())) {
			t.Errorf("%s: got %v", chip.TCB().Product(), err)
		}
	}
}

func TestParseTHIMRefuses(t *testing.T) {
	chip := milan(t).first
	leaf, ask, ark := blocks(t, chainPEM(t, chip, chip.TCB()))
	foreign := pemOf(foreignCertificate(t).Raw)
	good := map[string]any{"vcekCert": leaf, "certificateChain": ask + ark, "tcbm": strings.ToUpper(chip.TCB().Hex()), "cacheControl": "86400"}
	for _, test := range []struct {
		name   string
		change map[string]any // nil removes the member
		wrong  string
	}{
		{"nothing", nil, ""},
		{"lower case", map[string]any{"tcbm": chip.TCB().Hex()}, ""},
		{"CRLF", map[string]any{"vcekCert": string(crlf([]byte(leaf)))}, ""},
		{"no cacheControl", map[string]any{"cacheControl": nil}, ""},
		{"unknown member", map[string]any{"new": map[string]any{"deep": []int{1}}}, ""},
		{"no leaf", map[string]any{"vcekCert": nil}, "vcekCert is missing"},
		{"no chain", map[string]any{"certificateChain": nil}, "certificateChain is missing"},
		{"name in another case", map[string]any{"vcekCert": nil, "VCEKCERT": leaf}, "vcekCert is missing"},
		{"number", map[string]any{"vcekCert": 1}, "vcekCert is not a string"},
		{"chain in the leaf member", map[string]any{"vcekCert": leaf + ask}, ""},
		{"in another order", map[string]any{"certificateChain": ark + ask}, ""},
		{"no issuers", map[string]any{"certificateChain": ""}, "whose certificate is not here"},
		{"an unrelated certificate", map[string]any{"certificateChain": ask + ark + foreign}, "certificate 4, of"},
		{"no VCEK", map[string]any{"vcekCert": ask}, "no VCEK or VLEK"},
		{"garbled issuers", map[string]any{"certificateChain": ask + "x"}, "certificateChain: certificate 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			members := maps.Clone(good)
			for name, value := range test.change {
				if members[name] = value; value == nil {
					delete(members, name)
				}
			}
			document, err := json.Marshal(members)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParseTHIM(document)
			checkError(t, err, test.wrong)
		})
	}
}

// TestDescriptiveMembers checks that a wrong description in a THIM document does not
// cause a refusal and is not passed on.
func TestDescriptiveMembers(t *testing.T) {
	chip := milan(t).first
	other := chip.TCB().Components()
	other.SNP++
	own := strings.ToUpper(chip.TCB().Hex())
	for _, test := range []struct {
		name         string
		tcbm, cache  any // nil if absent
		want, remark string
	}{
		{"as served", chip.TCB().Hex(), "86400", chip.TCB().Hex(), ""},
		{"cacheControl as a number", own, 86400, own, ""},
		{"no tcbm", nil, nil, own, ""},
		{"a number", 1, nil, own, ""},
		{"another TCB", other.TCB(snp.Milan).Hex(), nil, own, "but the certificate is for " + chip.TCB().Hex()},
		{"short", "0308", nil, own, "16 hex digits"},
		{"not hex", "0x00000000000003", nil, own, "16 hex digits"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaf, ask, ark := blocks(t, chainPEM(t, chip, chip.TCB()))
			members := map[string]any{"vcekCert": leaf, "certificateChain": ask + ark}
			for name, value := range map[string]any{"tcbm": test.tcbm, "cacheControl": test.cache} {
				if value != nil {
					members[name] = value
				}
			}
			document, err := json.Marshal(members)
			if err != nil {
				t.Fatal(err)
			}
			chain, err := ParseTHIM(document)
			if err != nil {
				t.Fatal(err)
			}
			if chain.TCBM() != test.want || (test.remark == "") != (chain.Remark() == "") || !strings.Contains(chain.Remark(), test.remark) {
				t.Errorf("tcbm %s, want %s; remark %q, want one of %q", chain.TCBM(), test.want, chain.Remark(), test.remark)
			}
		})
	}
}

func TestParseTHIMRefusesJSON(t *testing.T) {
	chip := milan(t).first
	good := string(thimOf(t, chip, chip.TCB()))
	for _, test := range []struct{ name, text, wrong string }{
		{"empty", "", "is not JSON"},
		{"array", "[]", "not a JSON object"},
		{"null", "null", "not a JSON object"},
		{"cut off", good[:len(good)-1], "is not JSON"},
		{"trailing data", good + "{}", "after the JSON object"},
		{"trailing garbage", good + "x", "after the JSON object"},
		{"duplicate", strings.Replace(good, "{", `{"tcbm":"00",`, 1), `member "tcbm" twice`},
		{"duplicate of an unknown member", strings.Replace(good, "{", `{"a":1,"a":2,`, 1), `member "a" twice`},
		{"too long", good + strings.Repeat(" ", maxDocument), "more than 65536"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseTHIM([]byte(test.text))
			checkError(t, err, test.wrong)
		})
	}
}

// TestLeafIsOne checks that a leaf that cannot endorse a report is refused at once.
func TestLeafIsOne(t *testing.T) {
	chip := milan(t).first
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		lies  snptest.Lies
		wrong string
	}{
		{"product", snptest.Lies{ProductName: "Rome-B0"}, `"Rome-B0"`},
		{"key", snptest.Lies{Key: &p256.PublicKey}, "no ECDSA P-384 key"},
		{"name", snptest.Lies{Template: func(c *x509.Certificate) { c.Subject.CommonName = "SEV-XCEK" }}, `of "SEV-XCEK", is neither a VCEK`},
		{"chip", snptest.Lies{HWID: make([]byte, 63)}, "63 bytes, want 64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leaf, err := chip.LyingVCEK(chip.TCB(), test.lies)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParsePEM(append(leaf, chip.Vendor().ChainPEM()...))
			checkError(t, err, test.wrong)
		})
	}
}

// A VCEK named as a VLEK is refused because its issuer's name does not match.
func TestKindMustMatchTheIssuer(t *testing.T) {
	m := milan(t)
	leaf, err := m.first.LyingVCEK(m.first.TCB(), snptest.Lies{Template: func(c *x509.Certificate) { c.Subject.CommonName = "SEV-VLEK" }})
	if err != nil {
		t.Fatal(err)
	}
	chain, err := ParsePEM(append(leaf, m.first.Vendor().ChainPEM()...))
	if err != nil {
		t.Fatal(err)
	}
	checkError(t, chain.VerifyCertificates(m.roots, now), `want "SEV-VLEK-Milan"`)
}

// Clients compare TCBM with the value from the certificate service.
func TestTCBMIsKeptAsWritten(t *testing.T) {
	chip := milan(t).first
	document, err := chip.THIMDocument(chip.TCB())
	if err != nil {
		t.Fatal(err)
	}
	upper := strings.ToUpper(chip.TCB().Hex())
	for _, want := range []string{upper, strings.ToLower(upper)} {
		chain, err := ParseTHIM(bytes.Replace(document, []byte(upper), []byte(want), 1))
		if err != nil || chain.TCBM() != want {
			t.Errorf("TCBM is %q, %v; want %q", chain.TCBM(), err, want)
		}
		if again, err := ParsePEM(chain.PEM()); err != nil || again.TCBM() != upper {
			t.Errorf("TCBM of a PEM chain is %q, %v; want %q", again.TCBM(), err, upper)
		}
	}
}
