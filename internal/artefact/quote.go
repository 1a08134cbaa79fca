package artefact

import (
	"encoding/hex"
	"strconv"
	"time"

	"skr/attest/vtpm"
)

// quote is what a TPM signed of its PCRs.
type quote struct{ *vtpm.Quote }

// readQuote also knows an object with the quote as message beside its signature,
// as go-tpm-tools' users write it; it holds the PCRs' values, too, which bundles
// find by themselves.
func readQuote(in input) (content, error) {
	if in.has("message", "signature") {
		return readQuoteObject(in)
	}
	if !vtpm.IsQuote(in.raw) {
		return nil, errOther
	}
	parsed, err := vtpm.ParseQuote(in.raw)
	if err != nil {
		return nil, err
	}
	return quote{parsed}, nil
}

func readQuoteObject(in input) (content, error) {
	message, signature := decodedText(in, "message"), decodedText(in, "signature")
	if !vtpm.IsQuote(message) {
		return nil, errOther
	}
	parsed, err := vtpm.ParseQuote(message)
	if err == nil {
		parsed, err = parsed.WithSignature(signature)
	}
	if err != nil {
		return nil, err
	}
	list, _ := in.object.Lookup("pcrs")
	values, err := readPCRs(newInput(partData(list)))
	if err != nil {
		return quote{parsed}, nil //nolint:nilerr // a quote without values of PCRs is one all the same
	}
	both := bundle{{path: "message", found: Artefact{kind: Quote, content: quote{parsed}}}, {path: "pcrs", found: Artefact{kind: PCRs, content: values}}}
	return both, nil
}

// decodedText is a member's bytes, from hex or base64; nil if it is neither.
func decodedText(in input, name string) []byte {
	text, _ := in.object.Text(name)
	if data, ok := decodeHex([]byte(text)); ok {
		return data
	}
	data, _ := decodeBase64([]byte(text))
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
