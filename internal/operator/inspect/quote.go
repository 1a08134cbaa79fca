package inspect

import (
	"encoding/hex"
	"strconv"
	"time"

	"skr/attest/vtpm"
)

// quote is a TPM's statement about its PCRs.
type quote struct{ *vtpm.Quote }

func recogniseQuote(in input) (content, error) {
	if !vtpm.IsQuote(in.raw) {
		return nil, errOther
	}
	parsed, err := vtpm.ParseQuote(in.raw)
	if err != nil {
		return nil, err
	}
	return quote{parsed}, nil
}

// unpackQuote recognises an object with the quote as message and its signature, as users of
// go-tpm-tools write it. Other members, such as the values of PCRs, are further parts.
func unpackQuote(in input, layers int) (Artefact, error) {
	message, signature := memberBytes(in, "message"), memberBytes(in, "signature")
	if !in.has("message", "signature") || !vtpm.IsQuote(message) {
		return Artefact{}, errOther
	}
	parsed, err := vtpm.ParseQuote(message)
	if err == nil {
		parsed, err = parsed.WithSignature(signature)
	}
	if err != nil {
		return Artefact{}, &malformedError{Quote, err}
	}
	alone := Artefact{kind: Quote, content: quote{parsed}}
	parts := bundle{{path: "message", found: alone}}
	parts.collect("", without(in.object.Members(), "message", "signature"), layers)
	if len(parts) == 1 {
		return alone, nil
	}
	return Artefact{kind: Quote, content: parts}, nil
}

// memberBytes returns nil if the member is neither hex nor base64 nor a list of bytes.
func memberBytes(in input, name string) []byte {
	value, _ := in.object.Lookup(name)
	data, _ := bytesOf(value)
	return data
}

func (q quote) boot() Boot { return Boot{Quote: q.Quote} }

func (q quote) sections(time.Time) []Section {
	s := Section{Title: "TPM quote"}
	clock := q.Clock()
	s.add("PCRs", q.Selection().String(), "which the quote is over, SHA-256 bank")
	s.add("digest", q.Digest().String(), "SHA-256 of their values in ascending order")
	s.add("nonce", hex.EncodeToString(q.Nonce()), "qualifying data, chosen by who asked")
	s.add("clock", strconv.FormatUint(clock.Milliseconds, 10), "milliseconds that the TPM has run")
	s.add("reset count", decimal(clock.ResetCount), "starts of the machine")
	s.add("restart count", decimal(clock.RestartCount), "resumptions since the start")
	s.add("firmware", strconv.FormatUint(clock.Firmware, 16), "version of the TPM's")
	s.addFlag("signed", q.Signed(), [2]string{"there is no signature", "not verified here"})
	return []Section{s}
}

// signature is a TPM's signature of a quote that is in another file.
type signature struct{ *vtpm.Signature }

func recogniseSignature(in input) (content, error) {
	if in.text != nil || !vtpm.IsSignature(in.raw) {
		return nil, errOther
	}
	parsed, err := vtpm.ParseSignature(in.raw)
	if err != nil {
		return nil, err
	}
	return signature{parsed}, nil
}

func (s signature) boot() Boot { return Boot{Signature: s.Signature} }

func (s signature) sections(time.Time) []Section {
	section := Section{Title: "TPM signature (TPMT_SIGNATURE), not verified here"}
	section.add("algorithm", "RSASSA", "PKCS #1 v1.5 with SHA-256")
	section.add("size", strconv.Itoa(s.Bits()), "bits of the RSA key")
	return []Section{section}
}
