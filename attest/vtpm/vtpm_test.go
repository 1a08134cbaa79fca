package vtpm_test

import (
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/vtpm"
	"skr/test/snptest"
	"skr/test/tdxtest"
	"skr/test/vtpmtest"
)

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// checkError checks that the error contains the text, or that there is no error for "".
func checkError(t *testing.T, err error, wrong string) {
	t.Helper()
	switch {
	case wrong == "" && err != nil:
		t.Errorf("error: %v", err)
	case wrong != "" && err == nil:
		t.Errorf("no error, want %q", wrong)
	case wrong != "" && (!strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), "\n")):
		t.Errorf("error %q, want one line with %q", err, wrong)
	}
}

// Keys take long to generate.
var (
	makeAK   = sync.OnceValues(vtpmtest.NewAK)
	makeChip = sync.OnceValues(func() (*snptest.Chip, error) {
		vendor, err := snptest.NewVendor(snp.Milan, time.Now())
		if err != nil {
			return nil, err
		}
		return vendor.NewChip()
	})
)

func TestHCL(t *testing.T) {
	ak, chip := must(makeAK())(t), must(makeChip())(t)
	for _, o := range []vtpmtest.HCLOptions{{}, {Version: 1}, {Size: 2900}, {Size: 64 << 10}} {
		claims := vtpmtest.Claims(ak.Public(), true)
		h := must(vtpm.ParseHCL(must(vtpmtest.HCL(chip, claims, o))(t)))(t)
		checkError(t, h.CheckBound(), "")
		key := must(h.Claims().AK())(t)
		if !key.Equal(ak.Public()) || string(h.Claims().Raw()) != string(claims) || h.Hardware() != vtpm.SEVSNP {
			t.Errorf("%+v: the parts differ", o)
		}
		if data, ok := h.Claims().UserData(); !ok || data[31] != 0xab || data[63] != 0xcd {
			t.Errorf("user-data is %x", data)
		}
		if on, known := h.Claims().SecureBoot(); !on || !known {
			t.Error("secure-boot is missing")
		}
	}
}

func TestHCLRefused(t *testing.T) {
	ak, chip := must(makeAK())(t), must(makeChip())(t)
	claims := string(vtpmtest.Claims(ak.Public(), true))
	set := func(at int, value byte) func([]byte) { return func(raw []byte) { raw[at] = value } }
	for _, c := range []struct {
		name, claims string
		o            vtpmtest.HCLOptions
		cut          int
		parse        string
		bound, key   string
	}{
		{name: "no magic", claims: claims, o: vtpmtest.HCLOptions{Mutate: set(0, 'h')}, parse: "begin with HCLA"},
		{name: "short", claims: claims, cut: 1235, parse: "1236 are needed"},
		{name: "cut claims", claims: claims, cut: 1300, parse: "contradict"},
		{name: "version 3", claims: claims, o: vtpmtest.HCLOptions{Version: 3}, parse: "header has version 3"},
		{name: "status", claims: claims, o: vtpmtest.HCLOptions{Mutate: set(16, 1)}}, // the version only describes
		{name: "request's data", claims: claims, o: vtpmtest.HCLOptions{Mutate: set(1220, 2)}, parse: "version 2"},
		{name: "SHA-384", claims: claims, o: vtpmtest.HCLOptions{Mutate: set(1228, 2)}, parse: "hash type is 2"},
		{name: "data size", claims: claims, o: vtpmtest.HCLOptions{Mutate: set(1216, 0)}, parse: "contradict"},
		{name: "huge claims", claims: claims, o: vtpmtest.HCLOptions{Mutate: set(1235, 0xff)}, parse: "contradict"},
		{name: "broken report", claims: claims, o: vtpmtest.HCLOptions{Mutate: set(32, 9)}, parse: "malformed SEV-SNP report"},
		{name: "claims are no JSON", claims: "[]", parse: "is not a JSON object"},
		{name: "duplicate member", claims: `{"a":1,"a":2}`, parse: "twice"},
		{name: "one byte of the claims", claims: claims, o: vtpmtest.HCLOptions{Mutate: func(raw []byte) {
			raw[1236+strings.Index(claims, "console-enabled")] ^= 0x20
		}}, bound: "the claims need"},
		{name: "a space behind", claims: claims + " ", o: vtpmtest.HCLOptions{Mutate: func(raw []byte) {
			raw[1216]--
			raw[1232]--
		}}, bound: "the claims need"},
		{name: "upper half", claims: claims, bound: "the claims need",
			o: vtpmtest.HCLOptions{Report: snptest.Options{Mutate: func(raw []byte) { raw[0x50+32] = 1 }}}},
		{name: "other hardware", claims: claims, o: vtpmtest.HCLOptions{Hardware: 3}, bound: "Trusted Launch, which is not supported"},
		{name: "no keys", claims: "{}", key: "there are 0 such keys"},
		{name: "two AKs", claims: strings.Replace(claims, "HCLEkPub", "HCLAkPub", 1), key: "there are 2 such keys"},
		{name: "another key", claims: strings.Replace(claims, "HCLAkPub", "HCLaKPub", 1), key: "there are 0 such keys"},
		{name: "even modulus", claims: `{"keys":[{"kid":"HCLAkPub","kty":"RSA","e":"AQAB","n":"AAAA"}]}`, key: "2048 to 8192 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := must(vtpmtest.HCL(chip, []byte(c.claims), c.o))(t)
			if c.cut > 0 {
				raw = raw[:c.cut]
			}
			h, err := vtpm.ParseHCL(raw)
			checkError(t, err, c.parse)
			if err != nil {
				return
			}
			checkError(t, h.CheckBound(), c.bound)
			_, err = h.Claims().AK()
			checkError(t, err, c.key)
		})
	}
	_, err := vtpm.ParseHCL(append([]byte("HCLA"), make([]byte, 64<<10)...))
	checkError(t, err, "at most 65536")
}

// On TDX, the claims are bound by the TD report. Its hashes and type are checked.
func TestTDXReport(t *testing.T) {
	ak := must(makeAK())(t)
	claims := vtpmtest.Claims(ak.Public(), true)
	flip := func(at int) vtpmtest.HCLOptions {
		return vtpmtest.HCLOptions{Mutate: func(raw []byte) { raw[at] ^= 1 }}
	}
	for _, c := range []struct {
		name         string
		o            vtpmtest.HCLOptions
		parse, bound string
	}{
		{"good", vtpmtest.HCLOptions{}, "", ""},
		{"REPORTDATA", flip(32 + 128), "", "the claims need"},
		{"zeros of REPORTDATA", flip(32 + 191), "", "the claims need"},
		{"a letter of the claims", vtpmtest.HCLOptions{Mutate: func(raw []byte) { raw[1236+900] ^= 1 }}, "", "the claims need"},
		{"type", flip(32), "type 0x80, want 0x81", ""},
		{"MRTD", flip(32 + 528), "TEE_INFO_HASH", ""},
		{"hardware SEV-SNP", vtpmtest.HCLOptions{Hardware: 2}, "malformed SEV-SNP report", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := vtpm.ParseHCL(vtpmtest.TDXHCL(tdxtest.TD{MRTD: tdx.Measurement{1}}, claims, c.o))
			checkError(t, err, c.parse)
			if err != nil {
				return
			}
			checkError(t, h.CheckBound(), c.bound)
			if h.Report() != nil || h.Hardware() != vtpm.TDX || h.TDReport().MRTD() != (tdx.Measurement{1}) {
				t.Errorf("%s, MRTD %s", h.Hardware(), h.TDReport().MRTD())
			}
		})
	}
}

// Each false HCL report of a machine with TDX is refused, except for those whose MAC the host
// checks.
func TestForgeries(t *testing.T) {
	claims := vtpmtest.Claims(must(makeAK())(t).Public(), true)
	for _, f := range vtpmtest.Forgeries() {
		t.Run(f.Name, func(t *testing.T) {
			h, err := vtpm.ParseHCL(vtpmtest.TDXHCL(tdxtest.TD{MRTD: tdx.Measurement{1}}, claims, vtpmtest.HCLOptions{Mutate: f.Spoil}))
			if err == nil {
				err = h.CheckBound()
			}
			if err == nil {
				_, err = h.Claims().AK()
			}
			checkError(t, err, f.Text)
		})
	}
}

func TestCertificate(t *testing.T) {
	ak, other := must(makeAK())(t), must(vtpmtest.NewAK())(t)
	roots := must(vtpm.ParseRoots(ak.RootsPEM()))(t)
	certificate := must(vtpm.ParseAKCertificate(ak.Index()))(t)
	if !certificate.Key().Equal(ak.Public()) {
		t.Error("got a different key")
	}
	now := time.Now()
	checkError(t, certificate.Verify(roots, nil, now), "")
	checkError(t, certificate.Verify(roots, nil, now.AddDate(2, 0, 0)), "expired")
	checkError(t, certificate.Verify(vtpm.AzureRoots(), nil, now), "unknown authority")
	brought := must(vtpm.ParseRoots(other.RootsPEM()))(t)
	checkError(t, must(vtpm.ParseAKCertificate(other.Index()))(t).Verify(roots, nil, now), "unknown authority")
	checkError(t, must(vtpm.ParseAKCertificate(other.Index()))(t).Verify(brought, nil, now), "")

	dirty := ak.Index()
	dirty[len(dirty)-1] = 1
	_, err := vtpm.ParseAKCertificate(dirty)
	checkError(t, err, "not DER that zeros follow")
	_, err = vtpm.ParseAKCertificate(make([]byte, 4096))
	checkError(t, err, "malformed certificate")
	root, _ := pem.Decode(ak.RootsPEM())
	_, err = vtpm.ParseAKCertificate(root.Bytes)
	checkError(t, err, "not for a TPM's attestation key")
	_, err = vtpm.ParseAKCertificate(make([]byte, 64<<10+1))
	checkError(t, err, "more than 65536")
	_, err = vtpm.ParseRoots([]byte("none"))
	checkError(t, err, "none is a root")
}
