package vtpm_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"skr/attest/vtpm"
	"skr/test/vtpmtest"
)

// area returns a TPM2B_PUBLIC. Only its bytes matter here.
var area = append([]byte{0, 4}, "area"...)

func TestCertification(t *testing.T) {
	ak, other := must(makeAK())(t), must(vtpmtest.NewAK())(t)
	attest, signature, err := ak.Certify(area, nil)
	checkError(t, err, "")
	certified := must(vtpm.ParseCertification(attest, signature))(t)
	checkError(t, certified.VerifySignature(ak.Public()), "")
	checkError(t, certified.CheckKey(area), "")

	checkError(t, certified.VerifySignature(other.Public()), "has not signed it")
	checkError(t, certified.CheckKey(append([]byte{0, 4}, "bread"[:4]...)), "of another key")
	checkError(t, certified.CheckKey(area[:5]), "its public area")
	checkError(t, certified.CheckKey(append(area[:6:6], 0)), "its public area")
}

func TestCertificationRefuses(t *testing.T) {
	ak := must(makeAK())(t)
	good, signature, err := ak.Certify(area, nil)
	checkError(t, err, "")
	quote := vtpmtest.QuoteOptions{}.Attest()
	for name, c := range map[string]struct {
		attest, signature []byte
		want              string
	}{
		"a quote":           {quote, signature, "its type is 0x8018, want 0x8017, a certification"},
		"another magic":     {append([]byte{0}, good[1:]...), signature, "no TPM has made it"},
		"nothing":           {nil, signature, "no TPM has made it"},
		"short":             {good[:len(good)-1], signature, "parsing the certification"},
		"long":              {append(bytes.Clone(good), 0), signature, "behind its end"},
		"too long":          {append(bytes.Clone(good), make([]byte, 5000)...), signature, "more than 4096 bytes"},
		"another signature": {good, signature[:255], "no TPMT_SIGNATURE"},
		"without signature": {good, nil, "no TPMT_SIGNATURE"},
		"ECDSA":             {good, append([]byte{0, 0x18, 0, 0x0b, 1, 0}, signature...), "want 0x14"},
		"signed with SHA-1": {good, append([]byte{0, 0x14, 0, 0x04, 1, 0}, signature...), "RSASSA and SHA-256"},
		"half":              {good[:20], signature, "parsing the certification"},
	} {
		_, err := vtpm.ParseCertification(c.attest, c.signature)
		if err == nil {
			t.Errorf("%s was accepted", name)
			continue
		}
		checkError(t, err, c.want)
	}
}

// FuzzCertification checks that a certification of the key contains its name.
func FuzzCertification(f *testing.F) {
	ak := must(makeAK())(f)
	attest, signature, err := ak.Certify(area, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(attest, signature)
	name := sha256.Sum256(area[2:])
	f.Fuzz(func(t *testing.T, attest, signature []byte) {
		certified, err := vtpm.ParseCertification(attest, signature)
		if err == nil && certified.CheckKey(area) == nil && !bytes.Contains(attest, name[:]) {
			t.Error("the statement does not contain the name")
		}
	})
}
