package tdx_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/attest/tdx"
	"skr/test/tdxtest"
)

func is(err, want error) bool { return errors.Is(err, want) }

// both are the fields that a quote and a TD report share.
type both interface {
	TEETCBSVN() tdx.SVN
	MRSEAM() tdx.Measurement
	MRSIGNERSEAM() tdx.Measurement
	SEAMAttributes() uint64
	Attributes() tdx.Attributes
	XFAM() uint64
	MRTD() tdx.Measurement
	MRCONFIGID() tdx.Measurement
	MROWNER() tdx.Measurement
	MROWNERCONFIG() tdx.Measurement
	RTMRs() [4]tdx.Measurement
	ReportData() tdx.ReportData
}

// tdOf returns the TD that the fields describe.
func tdOf(b both) tdxtest.TD {
	attributes := b.Attributes()
	return tdxtest.TD{
		TEETCBSVN: b.TEETCBSVN(), MRSEAM: b.MRSEAM(), MRSIGNERSEAM: b.MRSIGNERSEAM(), SEAMAttributes: b.SEAMAttributes(), Attributes: &attributes,
		XFAM: b.XFAM(), MRTD: b.MRTD(), MRCONFIGID: b.MRCONFIGID(), MROWNER: b.MROWNER(), MROWNERCONFIG: b.MROWNERCONFIG(), RTMRs: b.RTMRs(),
		ReportData: b.ReportData(),
	}
}

// Each field of a quote is where it belongs, in each layout.
func TestQuoteFields(t *testing.T) {
	m := newMachine(t)
	for name, c := range map[string]struct {
		o    tdxtest.QuoteOptions
		is15 bool
	}{
		"version 4":          {tdxtest.QuoteOptions{Padding: 70}, false},
		"version 5, TDX 1.0": {tdxtest.QuoteOptions{Version: 5, BodyType: 2}, false},
		"version 5, TDX 1.5": {tdxtest.QuoteOptions{Version: 5}, true},
	} {
		t.Run(name, func(t *testing.T) {
			want := wholeTD()
			raw := m.raw(t, want, c.o)
			q := must(tdx.ParseQuote(raw))(t)
			got := tdOf(q)
			svn2, has := q.TEETCBSVN2()
			service, hasService := q.MRSERVICETD()
			got.TEETCBSVN2, got.ServiceTD = svn2, service
			if !c.is15 {
				want.TEETCBSVN2, want.ServiceTD = tdx.SVN{}, tdx.Measurement{}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if has != c.is15 || hasService != c.is15 || q.Is15() != c.is15 || q.Version() != max(c.o.Version, 4) {
				t.Errorf("version %d, TDX 1.5 %v, %v, %v", q.Version(), q.Is15(), has, hasService)
			}
			if diff := cmp.Diff(m.platform.PCK(), q.PCK()); diff != "" {
				t.Errorf("PCK (-want +got):\n%s", diff)
			}
			if !bytes.Equal(q.Raw(), raw[:len(raw)-c.o.Padding]) || !bytes.HasPrefix(raw, q.Signed()) {
				t.Error("the bytes are not the quote's")
			}
		})
	}
}

func TestQEReportFields(t *testing.T) {
	q := newMachine(t).quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{AuthData: []byte("auth"), QE: func(raw []byte) {
		copy(raw, filled(16, 1))
		copy(raw[16:], []byte{1, 2, 3, 4})
		copy(raw[48:], filled(16, 0x21))
		copy(raw[64:], filled(32, 0x41))
		copy(raw[128:], filled(32, 0x61))
		copy(raw[256:], []byte{1, 2, 3, 4})
		copy(raw[320:], filled(64, 0x81))
	}})
	r := q.QE()
	got := fmt.Sprintf("%x %x %x %x %x %x %x %s %s", r.CPUSVN(), r.MISCSELECT(), r.Attributes(), r.MRENCLAVE(), r.MRSIGNER(), r.ISVPRODID(), r.ISVSVN(),
		r.ReportData(), r.AuthenticationData())
	want := fmt.Sprintf("%x 4030201 %x %x %x 201 403 %x auth", filled(16, 1), filled(16, 0x21), filled(32, 0x41), filled(32, 0x61), filled(64, 0x81))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestQuoteIsImmutable(t *testing.T) {
	given := newMachine(t).raw(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	q := must(tdx.ParseQuote(given))(t)
	want := q.Raw()
	for _, b := range [][]byte{given, q.Raw(), q.Signed(), q.QE().AuthenticationData()} {
		b[len(b)-1] ^= 0xff
	}
	if !bytes.Equal(q.Raw(), want) || q.VerifySignature() != nil || q.VerifyQE() != nil {
		t.Error("the quote shares memory with its input or output")
	}
}

func TestParseQuoteRefuses(t *testing.T) {
	m := newMachine(t)
	set := func(at int, value ...byte) func([]byte) []byte {
		return func(raw []byte) []byte { copy(raw[at:], value); return raw }
	}
	const data4 = 48 + 584 + 4 // of version 4
	size := func(at, add int) func([]byte) []byte {
		return func(raw []byte) []byte {
			binary.LittleEndian.PutUint32(raw[at:], uint32(int(binary.LittleEndian.Uint32(raw[at:]))+add))
			return raw
		}
	}
	for _, c := range []struct {
		name    string
		version uint16
		change  func([]byte) []byte
		want    string // "" if it is accepted
	}{
		{"nothing", 4, set(0), ""},
		{"version 3", 4, set(0, 3), "version 3"},
		{"version 6", 4, set(0, 6), "version 6"},
		{"version 5 on the layout of 4", 4, set(0, 5), "body type"},
		{"key type 3", 4, set(2, 3), "key type 3"},
		{"SGX", 4, set(4, 0), "TEE type 0x0"},
		{"another vendor", 4, set(12, 0), "QE vendor"},
		{"body type 1", 5, set(48, 1), "body type 1"},
		{"body type 4", 5, set(48, 4), "body type 4"},
		{"the size of TDX 1.0 in type 3", 5, set(50, 0x48, 2), "a body of type 3 with 584 bytes"},
		{"a huge body", 5, set(50, 0xff, 0xff, 0xff, 0xff), "4294967295 bytes"},
		{"a zero after it", 4, func(raw []byte) []byte { return append(raw, 0) }, ""},
		{"a byte after it", 4, func(raw []byte) []byte { return append(raw, 0, 1) }, ""},
		{"one byte short", 4, func(raw []byte) []byte { return raw[:len(raw)-1] }, "the signature data has"},
		{"signature data that are too long", 4, size(data4-4, 1), "the signature data has"},
		{"signature data that are too short", 4, size(data4-4, -1), "certification data of"},
		{"huge signature data", 4, set(data4-4, 0xff, 0xff, 0xff, 0xff), "4294967295 bytes"},
		{"no signature data", 4, func(raw []byte) []byte { return append(raw[:data4-4], 0, 0, 0, 0) }, "has 0 bytes"},
		{"certification data of type 5", 4, set(data4+128, 5), "of type 5, want 6"},
		{"the size of the certification data", 4, size(data4+130, 1), "certification data of"},
		{"huge authentication data", 4, set(data4+582, 0xff, 0xff), "within the authentication data"},
		{"authentication data that are too short", 4, set(data4+582, 31), "certified with data of type"},
		{"inner type 3", 4, set(data4+584+32, 3), "type 3, want 5"},
		{"the size of the chain", 4, size(data4+584+34, -1), "chain of"},
		{"no PEM", 4, set(data4+584+38, 'x'), "not PEM"},
		{"too long", 4, func(raw []byte) []byte { return append(raw, make([]byte, 64<<10)...) }, "more than 65536"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tdx.ParseQuote(c.change(m.raw(t, tdxtest.TD{}, tdxtest.QuoteOptions{Version: c.version})))
			var want error
			if c.want != "" {
				want = tdx.ErrMalformed
			}
			checkError(t, err, want, c.want)
		})
	}
	raw := m.raw(t, tdxtest.TD{}, tdxtest.QuoteOptions{Version: 5})
	for length := range 1200 {
		if _, err := tdx.ParseQuote(raw[:length]); !is(err, tdx.ErrMalformed) {
			t.Errorf("%d bytes: error %v", length, err)
		}
	}
}

// A chain must be three certificates, of which the first is a PCK certificate.
func TestParseQuoteRefusesChains(t *testing.T) {
	m := newMachine(t)
	chain := m.platform.ChainPEM()
	end := bytes.Index(chain, []byte("-----END CERTIFICATE-----\n")) + len("-----END CERTIFICATE-----\n")
	for _, c := range []struct {
		name  string
		chain []byte
		want  string
	}{
		{"without NUL", chain, ""},
		{"two NUL", append(bytes.Clone(chain), 0, 0), "not PEM"},
		{"CRLF", bytes.ReplaceAll(chain, []byte("\n"), []byte("\r\n")), ""},
		{"two certificates", chain[end:], "2 certificates, want 3"},
		{"four certificates", append(bytes.Clone(chain), chain[:end]...), "4 certificates, want 3"},
		{"the leaf last", append(bytes.Clone(chain[end:]), chain[:end]...), "0 SGX extensions"},
		{"text between", append(append(bytes.Clone(chain[:end]), "text\n"...), chain[end:]...), "not PEM"},
		{"another block", bytes.ReplaceAll(chain, []byte("CERTIFICATE"), []byte("X509 CRL")), "not PEM"},
		{"broken DER", bytes.Replace(chain, []byte("MII"), []byte("MIJ"), 1), "certificate 1"},
		{"many", bytes.Repeat(chain[:end], 17), "more than 16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tdx.ParseQuote(m.raw(t, tdxtest.TD{}, tdxtest.QuoteOptions{Chain: c.chain}))
			var want error
			if c.want != "" {
				want = tdx.ErrMalformed
			}
			checkError(t, err, want, c.want)
		})
	}
}

func TestQuoteDoesNotPrintItsBytes(t *testing.T) {
	q := newMachine(t).quote(t, tdxtest.TD{}, tdxtest.QuoteOptions{})
	want := "TDX quote version 4, TEE_TCB_SVN 07010300000000000000000000000000, FMSPC 90c06f000000, components [3 3 2 2 4 1 0 5 0 0 0 0 0 0 0 0], PCESVN 13"
	if got := fmt.Sprintf("%v", q); got != want {
		t.Errorf("prints %q, want %q", got, want)
	}
}

// FuzzParseQuote checks that a parsed quote has exactly the bytes that were parsed, and that a
// changed quote does not verify.
func FuzzParseQuote(f *testing.F) {
	m := newMachine(f)
	for _, o := range []tdxtest.QuoteOptions{{}, {Padding: 70}, {Version: 5}, {Version: 5, BodyType: 2}, {AuthData: []byte{}}} {
		f.Add(m.raw(f, wholeTD(), o))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := tdx.ParseQuote(raw)
		if err != nil {
			if !is(err, tdx.ErrMalformed) {
				t.Errorf("error %v does not wrap ErrMalformed", err)
			}
			return
		}
		after := raw[min(len(raw), len(q.Raw())):]
		if !bytes.HasPrefix(raw, q.Raw()) || (len(bytes.Trim(after, "\x00")) > 0) != (q.Trailing() > 0) {
			t.Error("the quote differs from the parsed bytes")
		}
		_, _ = q.Verify(tdx.Verification{Now: now})
		again := must(tdx.ParseQuote(q.Raw()))(t)
		if diff := cmp.Diff(tdOf(q), tdOf(again)); diff != "" {
			t.Error(diff)
		}
	})
}
