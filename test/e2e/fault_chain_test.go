package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"skr/api"
	"skr/attest/snp"
	"skr/test/snptest"
)

// chainArtefacts: certificates from a service count only after verification. Each case
// begins with a firmware update, so that nothing is cached.
func chainArtefacts(t *testing.T, m *matrix, lab *lab) {
	service := newStub(t, nil)
	host := "127.0.0.1:" + service.port
	service.say(host, text(404, ""))
	s := lab.sidecar(t, "SKR_CERTIFICATE_SOURCES=thim", "SKR_THIM_URL=http://"+host+"/thim?api-version=1")
	chip, vendor := lab.cloud.Chip(), lab.cloud.Vendor()
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	stranger, err := snptest.NewVendor(snp.Milan, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	strangersChip := must(stranger.NewChip())
	own := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	lying := func(lies snptest.Lies) []byte { return must(chip.LyingVCEK(chip.TCB(), lies)) }
	issuers := func() string { return string(vendor.ChainPEM()) }
	tcbm := func() string { return strings.ToUpper(chip.TCB().Hex()) }
	cases := []struct {
		name string
		body func() []byte
	}{
		{"expired", func() []byte {
			return thim(lying(snptest.Lies{NotBefore: past.AddDate(-1, 0, 0), NotAfter: past}), tcbm(), issuers())
		}},
		{"not yet valid", func() []byte { return thim(lying(snptest.Lies{NotBefore: future}), tcbm(), issuers()) }},
		{"other chip's name", func() []byte { return thim(lying(snptest.Lies{HWID: make([]byte, 64)}), tcbm(), issuers()) }},
		{"other key", func() []byte { return thim(lying(snptest.Lies{Key: &own.PublicKey}), tcbm(), issuers()) }},
		{"other product", func() []byte { return thim(lying(snptest.Lies{ProductName: "Genoa"}), tcbm(), issuers()) }},
		{"certificate authority", func() []byte {
			return thim(lying(snptest.Lies{Template: func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }}), tcbm(), issuers())
		}},
		{"no extensions", func() []byte {
			return thim(lying(snptest.Lies{Template: func(c *x509.Certificate) { c.ExtraExtensions = nil }}), tcbm(), issuers())
		}},
		{"stale TCB", func() []byte {
			older := chip.TCB().Components()
			older.SNP--
			return must(chip.THIMDocument(older.TCB(snp.Milan)))
		}},
		{"false TCB in the certificate", func() []byte {
			higher := chip.TCB().Components()
			higher.SNP++
			return thim(lying(snptest.Lies{TCB: &higher}), tcbm(), issuers())
		}},
		{"another chip's chain", func() []byte { return must(must(vendor.NewChip()).THIMDocument(chip.TCB())) }},
		{"another vendor's chain", func() []byte { return must(strangersChip.THIMDocument(chip.TCB())) }},
		{"another vendor's issuers", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), string(stranger.ChainPEM())) }},
		{"another vendor's leaf", func() []byte { return thim(must(strangersChip.VCEK(chip.TCB())), tcbm(), issuers()) }},
		{"VLEK issuers", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), string(must(vendor.VLEKChainPEM()))) }},
		{"accepted: issuers in reverse", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), reversed(issuers())) }},
		{"no intermediate", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), string(vendor.RootsPEM())) }},
		{"accepted: one issuer more", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), issuers()+string(vendor.RootsPEM())) }},
		{"text between", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), "hello\n"+issuers()) }},
		{"accepted: no tcbm", func() []byte { return thim(must(chip.VCEK(chip.TCB())), "", issuers()) }},
		{"accepted: other tcbm", func() []byte { return thim(must(chip.VCEK(chip.TCB())), strings.Repeat("0", 16), issuers()) }},
		{"accepted: two leafs", func() []byte {
			return thim(append(must(chip.VCEK(chip.TCB())), must(chip.VCEK(chip.TCB()))...), tcbm(), issuers())
		}},
		{"duplicate member", func() []byte {
			return append([]byte(`{"tcbm":"`+tcbm()+`",`), must(chip.THIMDocument(chip.TCB()))[1:]...)
		}},
		{"report as a certificate", func() []byte {
			return thim(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: make([]byte, 1184)}), tcbm(), issuers())
		}},
		{"a thousand certificates", func() []byte {
			return thim([]byte(strings.Repeat(string(must(chip.VCEK(chip.TCB()))), 300)), tcbm(), issuers())
		}},
		{"PEM instead of JSON", func() []byte { return must(chip.ChainPEM(chip.TCB())) }},
		{"empty", func() []byte { return nil }},
	}
	microcode := uint8(100)
	for _, i := range m.random(chainRow).Perm(len(cases)) {
		c := cases[i]
		m.run(t, chainRow, c.name, func(t *testing.T) {
			microcode++
			levels := chip.TCB().Components()
			levels.Microcode = microcode
			chip.SetTCB(levels)
			service.say(host, text(200, string(c.body())))
			want := api.NoEndorsements
			if strings.HasPrefix(c.name, "accepted: ") { // the certificates count in any order; their description does not
				want = served
			}
			expectOf(t, s, evidence, lab.request(), want)
			service.say(host, text(200, string(must(chip.THIMDocument(chip.TCB())))))
			expectOf(t, s, evidence, lab.request(), served)
		})
	}
	eventually(t, "skr is ready", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		return s.client.WaitReady(ctx) == nil
	})
}

// thim returns a document of the certificate service.
func thim(leaf []byte, tcbm, issuers string) []byte {
	return must(json.Marshal(map[string]string{"vcekCert": string(leaf), "tcbm": tcbm, "certificateChain": issuers, "cacheControl": "86400"}))
}

func reversed(chain string) string {
	first, rest := pem.Decode([]byte(chain))
	return string(rest) + string(pem.EncodeToMemory(first))
}

// must is for test preparations that cannot fail.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
