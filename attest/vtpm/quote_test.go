package vtpm_test

import (
	"bytes"
	"testing"

	"skr/attest/vtpm"
	"skr/test/vtpmtest"
)

var nonce = []byte("0123456789abcdef0123456789abcdef")

const firstEight vtpm.Selection = 0xff

func quoteOf(t testing.TB, o vtpmtest.QuoteOptions) *vtpm.Quote {
	t.Helper()
	ak := must(makeAK())(t)
	return must(vtpm.ParseQuote(must(ak.Quote(o))(t)))(t)
}

func TestQuote(t *testing.T) {
	ak, other := must(makeAK())(t), must(vtpmtest.NewAK())(t)
	pcrs := vtpmtest.SecureBootLog(true).PCRs()
	good := vtpmtest.QuoteOptions{PCRs: pcrs, Nonce: nonce}
	changed := vtpm.PCRs{}
	for pcr, value := range pcrs {
		value[0] ^= 1
		changed[pcr] = value
	}
	quote := quoteOf(t, good)
	checkError(t, quote.VerifySignature(ak.Public()), "")
	checkError(t, quote.CheckNonce(nonce), "")
	checkError(t, quote.CheckSelection(firstEight), "")
	checkError(t, quote.CheckPCRs(pcrs), "")
	if c := quote.Clock(); c.Firmware != 0x2020031200120003 || c.ResetCount != 2 || !c.Safe || c.Milliseconds != 123456 {
		t.Errorf("the clock is %+v", c)
	}

	checkError(t, quote.VerifySignature(other.Public()), "has not signed it")
	checkError(t, quote.CheckNonce(nonce[1:]), "the quote has 3031")
	checkError(t, quote.CheckNonce(nil), "the quote has")
	checkError(t, quoteOf(t, vtpmtest.QuoteOptions{}).CheckNonce(nil), "comparing the nonce")
	checkError(t, quote.CheckPCRs(changed), "the values have the digest")
	delete(changed, 3)
	checkError(t, quote.CheckPCRs(changed), "the value of PCR 3 is missing")

	// A quote over fewer PCRs has a matching digest: only its bitmap differs.
	fewer := quoteOf(t, vtpmtest.QuoteOptions{PCRs: pcrs, Nonce: nonce, Bitmap: [3]byte{0x7f, 0, 0}})
	checkError(t, fewer.CheckPCRs(pcrs), "")
	checkError(t, fewer.CheckSelection(firstEight), "over PCR 0-6, want 0-7")
	more := quoteOf(t, vtpmtest.QuoteOptions{PCRs: pcrs, Bitmap: [3]byte{0xff, 0x05, 0x80}})
	checkError(t, more.CheckSelection(firstEight), "over PCR 0-8, 10, 23, want 0-7")
}

func TestQuoteForms(t *testing.T) {
	ak := must(makeAK())(t)
	both := must(ak.Quote(vtpmtest.QuoteOptions{}))(t)
	size := int(both[0])<<8 | int(both[1])
	attest, signature := both[2:2+size], both[2+size:]
	for _, form := range [][2][]byte{{attest, signature}, {attest, signature[6:]}, {both[:2+size], signature}} {
		alone := must(vtpm.ParseQuote(form[0]))(t)
		checkError(t, alone.VerifySignature(ak.Public()), "there is no signature")
		checkError(t, must(alone.WithSignature(form[1]))(t).VerifySignature(ak.Public()), "")
	}
	forged := bytes.Clone(signature)
	forged[len(forged)-1] ^= 1
	checkError(t, must(must(vtpm.ParseQuote(attest))(t).WithSignature(forged))(t).VerifySignature(ak.Public()), "has not signed")
	for _, c := range []struct {
		name      string
		signature []byte
		wrong     string
	}{
		{"empty", nil, "ends too early"},
		{"PSS", append([]byte{0, 0x16}, signature[2:]...), "want 0x14"},
		{"SHA-1", append([]byte{0, 0x14, 0, 4}, signature[4:]...), "want 0x14 and 0xb"},
		{"longer", append(bytes.Clone(signature), 0), "behind its end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := must(vtpm.ParseQuote(attest))(t).WithSignature(c.signature)
			checkError(t, err, c.wrong)
		})
	}
}

func TestQuoteRefused(t *testing.T) {
	ak := must(makeAK())(t)
	set := func(at int, value byte) func([]byte) []byte {
		return func(attest []byte) []byte { attest[at] = value; return attest }
	}
	// Offsets of a quote without a nonce: the selection starts at 69.
	const selection = 6 + 36 + 2 + 17 + 8
	for _, c := range []struct {
		name   string
		mutate func([]byte) []byte
		wrong  string
	}{
		{"magic", set(0, 0xfe), "no TPM has made it"},
		{"a certification", set(5, 0x17), "its type is 0x8017"},
		{"two banks", set(selection+3, 2), "over 2 banks"},
		{"SHA-1", set(selection+5, 4), "over PCRs of SHA-1 only; skr verifies the SHA-256 bank"},
		{"bitmap of two bytes", set(selection+6, 2), "has 2 bytes"},
		{"short digest", set(selection+11, 31), "behind its end"},
		{"cut", func(a []byte) []byte { return a[:len(a)-1] }, "ends too early"},
		{"digest of 31 bytes", func(a []byte) []byte { a[selection+11] = 31; return a[:len(a)-1] }, "digest has 31 bytes"},
		{"nothing but magic", func(a []byte) []byte { return a[:6] }, "ends too early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := must(ak.Quote(vtpmtest.QuoteOptions{Mutate: c.mutate}))(t)
			_, err := vtpm.ParseQuote(raw)
			checkError(t, err, c.wrong)
		})
	}
	_, err := vtpm.ParseQuote(make([]byte, 5000))
	checkError(t, err, "more than 4096 bytes")
}

func TestSelection(t *testing.T) {
	for want, pcrs := range map[string][]int{"none": nil, "0": {0}, "0-7": {7, 6, 5, 4, 3, 2, 1, 0}, "4, 7-8, 23": {23, 7, 8, 4}} {
		if got := must(vtpm.Select(pcrs...))(t); got.String() != want || len(got.List()) != len(pcrs) {
			t.Errorf("%v is %q, want %q", pcrs, got, want)
		}
	}
	for _, pcr := range []int{-1, 24} {
		_, err := vtpm.Select(pcr)
		checkError(t, err, "there is no PCR")
	}
	_, err := vtpm.ParseDigest("00")
	checkError(t, err, "64 hexadecimal digits")
}
