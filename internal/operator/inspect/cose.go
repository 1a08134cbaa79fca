package inspect

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"skr/attest/uvm"
)

// signedCBOR is a COSE_Sign1 that is no UVM endorsement.
type signedCBOR struct{ uvm.Header }

func readSignedCBOR(in input) (content, error) {
	if !bytes.HasPrefix(in.raw, coseSign1) {
		return nil, errOther
	}
	header, err := uvm.ReadHeader(in.raw)
	if err != nil {
		return nil, err
	}
	return signedCBOR{header}, nil
}

func (c signedCBOR) sections(time.Time) []Section {
	s := Section{Title: "COSE_Sign1, whose signature is not verified here"}
	for _, field := range []Field{
		{"algorithm", c.Algorithm, "how it is signed"},
		{"content type", c.ContentType, "of the payload"},
		{"issuer", c.Issuer, "who made it, by its own word"},
		{"subject", c.Subject, "what it is about"},
		{"critical", strings.Join(c.Critical, ", "), "parameters that a verifier must understand"},
	} {
		if field.Value != "" {
			s.add(field.Name, field.Value, field.Meaning)
		}
	}
	s.add("payload", strconv.Itoa(c.Payload), "bytes")
	return []Section{s}
}
