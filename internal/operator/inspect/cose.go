package inspect

import (
	"bytes"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"skr/attest/uvm"
)

// endorsement is a UVM endorsement. Package uvm parses only endorsements that verify, so nothing
// else is known about another one.
type endorsement struct {
	parsed *uvm.Endorsement
	err    error
	size   int
}

// coseSign1 begins a tagged COSE_Sign1: tag 18, an array of four (RFC 9052
// section 4.2).
var coseSign1 = []byte{0xd2, 0x84}

func recogniseEndorsement(in input) (content, error) {
	if !bytes.HasPrefix(in.raw, coseSign1) {
		return nil, errOther
	}
	header, err := uvm.ReadHeader(in.raw)
	if err == nil && !header.IsEndorsement() {
		return nil, errOther
	}
	parsed, err := uvm.ParseEndorsement(in.raw)
	return endorsement{parsed, err, len(in.raw)}, nil
}

func (e endorsement) evidence() Evidence {
	return Evidence{Endorsement: e.parsed, EndorsementErr: e.err}
}

func (e endorsement) sections(time.Time) []Section {
	s := Section{Title: "UVM endorsement"}
	if e.err != nil {
		s.add("size", strconv.Itoa(e.size), "bytes of a COSE_Sign1 that does not verify")
		s.add("error", e.err.Error(), "")
		return []Section{s}
	}
	measurement := e.parsed.Measurement()
	s.add("issuer", e.parsed.Issuer(), "who made it, by the certificates in it; "+knownIssuer(e.parsed))
	s.add("feed", e.parsed.Feed(), "line of utility VMs")
	if described := e.parsed.ContentType(); described != "" && described != "application/json" {
		s.add("content type", described, "of the payload, or of what was measured; nothing rests on it")
	}
	s.add("guest SVN", strconv.FormatUint(e.parsed.GuestSVN(), 10), "security version of the utility VM")
	s.add("measurement", hex.EncodeToString(measurement[:]), "MEASUREMENT of a report from such a utility VM")
	return []Section{s}
}

func knownIssuer(e *uvm.Endorsement) string {
	if e.KnownIssuer() {
		return "a production build of Microsoft's"
	}
	return "not known as a production build of Microsoft's"
}

// signedCBOR is a COSE_Sign1 that is not a UVM endorsement.
type signedCBOR struct{ uvm.Header }

func recogniseSignedCBOR(in input) (content, error) {
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
