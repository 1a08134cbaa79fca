package inspect

import (
	"strconv"
	"time"

	"skr/attest/vtpm"
)

// signature is a TPM's over a quote that stands elsewhere.
type signature struct{ *vtpm.Signature }

func readSignature(in input) (content, error) {
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
