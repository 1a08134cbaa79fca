package tdxtest

import (
	"encoding/binary"
	"slices"
)

// Forgery is a quote with one fault, and what package tdx says about it.
type Forgery struct {
	// Name names the fault, such as "body-mrtd".
	Name string
	// Err is the error of package tdx that the parser, [tdx.Quote.Verify] or
	// [tdx.Quote.CheckReport] wraps, and Text is part of its message.
	Err  error
	Text string
	// Tells is the claim by which a token of Azure Attestation tells the fault; "" means that Azure
	// Attestation refuses the quote. It has no TD report to compare with, and states attributes.
	Tells string

	forge func(o *QuoteOptions, v *Vendor, p *Platform) (*Platform, error)
}

// Quote returns the false quote of the TD report on a platform of the vendor.
func (f Forgery) Quote(v *Vendor, p *Platform, report []byte, o QuoteOptions) ([]byte, error) {
	other, err := f.forge(&o, v, p)
	if err != nil {
		return nil, err
	}
	if other != nil {
		p = other
	}
	return p.Quote(report, o)
}

// Forgeries returns all false quotes: at least one for each field of header, body, signature data
// and report of the quoting enclave, and for each rule about the certificates.
func Forgeries() []Forgery {
	return slices.Concat(headerForgeries(), bodyForgeries(), tdForgeries(), dataForgeries(), qeForgeries(), chainForgeries(), certificateForgeries())
}

// layout has the offsets in a quote.
type layout struct{ body, data int }

// Offsets in the signature data.
const (
	dataSignature = 0
	dataKey       = 64
	dataType      = 128
	dataSize      = 130
	dataQE        = 134
	dataQESig     = dataQE + 384
	dataAuthSize  = dataQESig + 64
	dataAuth      = dataAuthSize + 2
	dataInner     = dataAuth + 32 // type and size of the PCK certificates
)

func layoutOf(quote []byte) layout {
	l := layout{body: 48, data: 48 + 584 + 4}
	if binary.LittleEndian.Uint16(quote) == 5 {
		l.body = 54
		l.data = l.body + int(binary.LittleEndian.Uint32(quote[50:])) + 4
	}
	return l
}

// finished changes the quote after it was signed.
func finished(change func(quote []byte, l layout) []byte) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
	return func(o *QuoteOptions, _ *Vendor, _ *Platform) (*Platform, error) {
		o.Finished = func(quote []byte) []byte { return change(quote, layoutOf(quote)) }
		return nil, nil //nolint:nilnil // the same platform
	}
}

// flipped flips a bit after the quote was signed. at returns the offset of the byte.
func flipped(at func(layout) int) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
	return finished(func(quote []byte, l layout) []byte {
		quote[at(l)] ^= 1
		return quote
	})
}

// put replaces bytes after the quote was signed.
func put(at func(layout) int, value ...byte) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
	return finished(func(quote []byte, l layout) []byte {
		copy(quote[at(l):], value)
		return quote
	})
}

// version5 makes the quote one of version 5.
func version5(forge func(*QuoteOptions, *Vendor, *Platform) (*Platform, error)) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
	return func(o *QuoteOptions, v *Vendor, p *Platform) (*Platform, error) {
		o.Version, o.BodyType, o.Padding = 5, 3, 0
		return forge(o, v, p)
	}
}

// signed changes the body before the attestation key signs it.
func signed(change func(body []byte)) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
	return func(o *QuoteOptions, _ *Vendor, _ *Platform) (*Platform, error) {
		o.Signed = func(head []byte) { change(head[layoutOf(head).body:]) }
		return nil, nil //nolint:nilnil // the same platform
	}
}

// enclave changes the report of the quoting enclave before the PCK signs it.
func enclave(change func(report []byte)) func(*QuoteOptions, *Vendor, *Platform) (*Platform, error) {
	return func(o *QuoteOptions, _ *Vendor, _ *Platform) (*Platform, error) {
		o.QE = change
		return nil, nil //nolint:nilnil // the same platform
	}
}

func header0(at int) func(layout) int { return func(layout) int { return at } }
func inBody(at int) func(layout) int  { return func(l layout) int { return l.body + at } }
func inData(at int) func(layout) int  { return func(l layout) int { return l.data + at } }
