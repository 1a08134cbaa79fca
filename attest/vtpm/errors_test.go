package vtpm_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"skr/attest/snp"
	"skr/attest/vtpm"
	"skr/test/snptest"
	"skr/test/vtpmtest"
)

// Another module can distinguish the failures.
func TestErrors(t *testing.T) {
	ak, other := must(makeAK())(t), must(vtpmtest.NewAK())(t)
	log := vtpmtest.SecureBootLog(true)
	quote := must(vtpm.ParseQuote(must(ak.Quote(vtpmtest.QuoteOptions{PCRs: log.PCRs(), Nonce: nonce}))(t)))(t)
	unsigned := must(vtpm.ParseQuote(vtpmtest.QuoteOptions{PCRs: log.PCRs()}.Attest()))(t)
	attest, signature, err := ak.Certify([]byte{0, 1, 2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	certified := must(vtpm.ParseCertification(attest, signature))(t)
	certificate := must(vtpm.ParseAKCertificate(ak.Index()))(t)
	chip := must(must(snptest.NewVendor(snp.Milan, time.Now()))(t).NewChip())(t)
	unbound := must(vtpm.ParseHCL(must(vtpmtest.HCL(chip, vtpmtest.Claims(ak.Public(), true), vtpmtest.HCLOptions{
		Mutate: func(index []byte) {
			at := bytes.Index(index, []byte(`"secure-boot":true`))
			copy(index[at:], `"secure-bolt":true`)
		},
	}))(t)))(t)
	for name, c := range map[string]struct{ got, want error }{
		"signature":                {quote.VerifySignature(other.Public()), vtpm.ErrSignature},
		"no signature":             {unsigned.VerifySignature(ak.Public()), vtpm.ErrSignature},
		"certification signature":  {certified.VerifySignature(other.Public()), vtpm.ErrSignature},
		"nonce":                    {quote.CheckNonce([]byte("another")), vtpm.ErrNonce},
		"selection":                {quote.CheckSelection(1), vtpm.ErrSelection},
		"values":                   {quote.CheckPCRs(vtpmtest.SecureBootLog(false).PCRs()), vtpm.ErrPCRs},
		"missing value":            {quote.CheckPCRs(nil), vtpm.ErrPCRs},
		"log":                      {must(vtpm.ParseEventLog(log.Raw()))(t).Explain(nil, 1), vtpm.ErrLog},
		"certificate":              {certificate.Verify(vtpm.AzureRoots(), nil, time.Now()), vtpm.ErrCertificate},
		"another key":              {certified.CheckKey([]byte{0, 1, 3}), vtpm.ErrCertifiedKey},
		"malformed key":            {certified.CheckKey([]byte{0}), vtpm.ErrCertifiedKey},
		"claims of another report": {unbound.CheckBound(), vtpm.ErrNotBound},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: error %v, want %v", name, c.got, c.want)
		}
	}
}
