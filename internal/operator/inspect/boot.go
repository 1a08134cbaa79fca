package inspect

import (
	"crypto/x509"

	"skr/attest/vtpm"
)

// Boot is the evidence of a measured boot in an artefact. Parts that it does not hold are nil.
// Nothing in it has been verified. A nonce that came with a quote is left out: a verifier
// must know which nonce was sent.
type Boot struct {
	HCL         *vtpm.HCLReport
	Quote       *vtpm.Quote
	Signature   *vtpm.Signature // of the quote, if the quote comes without; see bundle.boot
	PCRs        vtpm.PCRs
	Log         *vtpm.EventLog
	Certificate *vtpm.AKCertificate
	Issuers     []*x509.Certificate // other certificates, which may help to verify it
}

// measured is content that holds some of it.
type measured interface{ boot() Boot }

var (
	_ measured = hclReport{}
	_ measured = quote{}
	_ measured = signature{}
	_ measured = pcrs(nil)
	_ measured = eventLog{}
	_ measured = certificates(nil)
	_ measured = bundle(nil)
)

// Boot returns the evidence of a measured boot in the artefact.
func (a Artefact) Boot() Boot {
	var found Boot
	if m, ok := a.content.(measured); ok {
		found = m.boot()
	}
	if len(a.beside) > 0 {
		found.fill(a.beside.boot())
	}
	return found
}

// fill adds what is still missing from other.
func (b *Boot) fill(other Boot) {
	if b.HCL == nil {
		b.HCL = other.HCL
	}
	if b.Quote == nil {
		b.Quote = other.Quote
	}
	if b.Signature == nil {
		b.Signature = other.Signature
	}
	if b.PCRs == nil {
		b.PCRs = other.PCRs
	}
	if b.Log == nil {
		b.Log = other.Log
	}
	if b.Certificate == nil {
		b.Certificate = other.Certificate
	}
	b.Issuers = append(b.Issuers, other.Issuers...)
}

// boot also adds a signature that is a part of its own to the quote.
func (b bundle) boot() Boot {
	var all Boot
	for _, p := range b {
		if p.err == nil {
			all.fill(p.found.Boot())
		}
	}
	if all.Quote != nil && all.Signature != nil && !all.Quote.Signed() {
		if signed, err := all.Quote.WithSignature(all.Signature.Raw()); err == nil {
			all.Quote = signed
		}
	}
	return all
}

// boot finds the attestation key's certificate among others.
func (c certificates) boot() Boot {
	var b Boot
	for _, certificate := range c {
		if ak, err := vtpm.NewAKCertificate(certificate); err == nil && b.Certificate == nil {
			b.Certificate = ak
			continue
		}
		b.Issuers = append(b.Issuers, certificate)
	}
	return b
}

// Join makes one artefact of files that belong together. A file that could not be
// recognised is shown with its error. It is a fault if its name says what it should be.
func Join(files []File) Artefact {
	var all bundle
	for _, file := range files {
		p := part{path: file.Name, found: file.Found, err: file.Err}
		wanted, isKnown := expectFile(file.Name)
		if isKnown && wanted.binds == 0 && !file.Empty {
			p.err, p.as = wanted.compare(p.found, p.err), wanted.as
		}
		all.add(p)
	}
	return Artefact{kind: Bundle, content: all}
}

// File is one of several, recognised or not.
type File struct {
	Name  string
	Found Artefact
	Err   error
	// Empty marks a file without content, which stands for a missing part.
	Empty bool
}
