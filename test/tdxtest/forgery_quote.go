package tdxtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"

	"skr/attest/tdx"
)

const unsigned = "the signature does not verify with the attestation key"

func headerForgeries() []Forgery {
	return []Forgery{
		{Name: "header-version", Err: tdx.ErrMalformed, Text: "version 3, want 4 or 5", forge: put(header0(0), 3)},
		{Name: "header-key-type", Err: tdx.ErrMalformed, Text: "attestation key type 3", forge: put(header0(2), 3)},
		{Name: "header-tee-type", Err: tdx.ErrMalformed, Text: "TEE type 0x0", forge: put(header0(4), 0)},
		{Name: "header-qe-svn", Err: tdx.ErrQuoteSignature, Text: unsigned, forge: flipped(header0(8))},
		{Name: "header-pce-svn", Err: tdx.ErrQuoteSignature, Text: unsigned, forge: flipped(header0(10))},
		{Name: "header-vendor", Err: tdx.ErrMalformed, Text: "QE vendor", forge: flipped(header0(12))},
		{Name: "header-user-data", Err: tdx.ErrQuoteSignature, Text: unsigned, forge: flipped(header0(28))},
		{Name: "header-body-type", Err: tdx.ErrMalformed, Text: "body type 1, want 2", forge: version5(finished(func(q []byte, _ layout) []byte {
			q[48] = 1
			return q
		}))},
		{Name: "header-body-size", Err: tdx.ErrMalformed, Text: "a body of type 3 with 584 bytes", forge: version5(finished(func(q []byte, _ layout) []byte {
			binary.LittleEndian.PutUint32(q[50:], 584)
			return q
		}))},
	}
}

// bodyForgeries change a field after the quote was signed.
func bodyForgeries() []Forgery {
	var all []Forgery
	for _, field := range []struct {
		name string
		at   int
		only bool // in TDX 1.5
	}{
		{"tee-tcb-svn", 0, false}, {"mrseam", 16, false}, {"mrsignerseam", 64, false}, {"seamattributes", 112, false}, {"tdattributes", 123, false},
		{"xfam", 128, false}, {"mrtd", 136, false}, {"mrconfigid", 184, false}, {"mrowner", 232, false}, {"mrownerconfig", 280, false},
		{"rtmr0", 328, false}, {"rtmr1", 376, false}, {"rtmr2", 424, false}, {"rtmr3", 472, false}, {"reportdata", 520, false},
		{"tee-tcb-svn-2", 584, true}, {"mrservicetd", 647, true},
	} {
		forge := flipped(inBody(field.at))
		if field.only {
			forge = version5(forge)
		}
		all = append(all, Forgery{Name: "body-" + field.name, Err: tdx.ErrQuoteSignature, Text: unsigned, forge: forge})
	}
	return all
}

// tdForgeries are signed by the right key, and are of another TD than they must be.
func tdForgeries() []Forgery {
	attributes := func(mask uint64) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
		return signed(func(body []byte) {
			binary.LittleEndian.PutUint64(body[120:], binary.LittleEndian.Uint64(body[120:])|mask)
		})
	}
	flip := func(at int) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
		return signed(func(body []byte) { body[at] ^= 1 })
	}
	return []Forgery{
		{Name: "td-debug", Err: tdx.ErrAttributes, Text: "DEBUG", Tells: "tdx_td_attributes_debug", forge: attributes(1)},
		{Name: "td-profiled", Err: tdx.ErrAttributes, Text: "TUD is 0x10", Tells: "tdx_td_attributes", forge: attributes(1 << 4)},
		{Name: "td-migratable", Err: tdx.ErrAttributes, Text: "MIGRATABLE", Tells: "tdx_td_attributes", forge: attributes(1 << 29)},
		{Name: "td-other-data", Err: tdx.ErrNotBound, Text: "its data needs", forge: flip(520)},
		{Name: "td-data-beyond-hash", Err: tdx.ErrNotBound, Text: "its data needs", forge: flip(583)},
		{Name: "td-other-module", Err: tdx.ErrOtherReport, Text: "they differ in TEE_TCB_SVN", Tells: "tdx_tee_tcb_svn", forge: flip(5)},
		{Name: "td-other-mrseam", Err: tdx.ErrOtherReport, Text: "they differ in MRSEAM", Tells: "tdx_mrseam", forge: flip(16)},
		{Name: "td-other-mrtd", Err: tdx.ErrOtherReport, Text: "they differ in MRTD", Tells: "tdx_mrtd", forge: flip(136)},
		{Name: "td-other-rtmr", Err: tdx.ErrOtherReport, Text: "they differ in RTMR0 to RTMR3", Tells: "tdx_rtmr3", forge: flip(472)},
		{Name: "td-other-xfam", Err: tdx.ErrOtherReport, Text: "they differ in XFAM", Tells: "tdx_xfam", forge: flip(128)},
	}
}

// dataForgeries are about the signature, the attestation key and the frame of the signature data.
func dataForgeries() []Forgery {
	size := func(at func(layout) int, add int) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
		return finished(func(q []byte, l layout) []byte {
			binary.LittleEndian.PutUint32(q[at(l):], uint32(int(binary.LittleEndian.Uint32(q[at(l):]))+add))
			return q
		})
	}
	cut := func(to func(q []byte, l layout) int) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
		return finished(func(q []byte, l layout) []byte { return q[:to(q, l)] })
	}
	return []Forgery{
		{Name: "signature-r", Err: tdx.ErrQuoteSignature, Text: unsigned, forge: flipped(inData(dataSignature))},
		{Name: "signature-s", Err: tdx.ErrQuoteSignature, Text: unsigned, forge: flipped(inData(dataSignature + 63))},
		{Name: "signature-zero", Err: tdx.ErrQuoteSignature, Text: unsigned, forge: put(inData(dataSignature), make([]byte, 64)...)},
		{Name: "signature-other-key", Err: tdx.ErrQuoteSignature, Text: unsigned, forge: otherKey},
		{Name: "signature-length", Err: tdx.ErrMalformed, Text: "the signature data has", forge: size(inData(-4), 1<<16)},
		{Name: "signature-type", Err: tdx.ErrMalformed, Text: "certification data of type 5, want 6", forge: put(inData(dataType), 5)},
		{Name: "signature-size", Err: tdx.ErrMalformed, Text: "certification data of", forge: size(inData(dataSize), 1)},
		{Name: "key-x", Err: tdx.ErrQE, Text: "the attestation key needs", forge: flipped(inData(dataKey))},
		{Name: "key-y", Err: tdx.ErrQE, Text: "the attestation key needs", forge: flipped(inData(dataKey + 63))},
		{Name: "key-zero", Err: tdx.ErrQE, Text: "the attestation key needs", forge: put(inData(dataKey), make([]byte, 64)...)},
		{Name: "empty", Err: tdx.ErrMalformed, Text: "0 bytes", forge: cut(func([]byte, layout) int { return 0 })},
		{Name: "header-alone", Err: tdx.ErrMalformed, Text: "end before the signature data", forge: cut(func([]byte, layout) int { return 60 })},
		{Name: "cut-in-body", Err: tdx.ErrMalformed, Text: "end before the signature data", forge: cut(func(_ []byte, l layout) int { return l.data - 10 })},
		{Name: "cut-in-certificates", Err: tdx.ErrMalformed, Text: "are there", forge: cut(func(_ []byte, l layout) int { return l.data + 2000 })},
		{Name: "more-after-it", Err: tdx.ErrQuoteSignature, Text: "bytes after it are not all zero", forge: finished(func(q []byte, _ layout) []byte {
			return append(q, 0, 1)
		})},
	}
}

func otherKey(o *QuoteOptions, _ *Vendor, _ *Platform) (_ *Platform, err error) {
	o.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return nil, err
}
