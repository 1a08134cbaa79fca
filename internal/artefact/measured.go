package artefact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// opaque is recognised and named, but not decoded.
type opaque struct {
	title string
	data  []byte
}

func (o opaque) sections(time.Time) []Section {
	s := Section{Title: o.title}
	s.add("size", strconv.Itoa(len(o.data)), "bytes")
	s.add("SHA-256", digest(o.data), "")
	return []Section{s}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// tpmGenerated is TPM_GENERATED_VALUE, which begins what a TPM attests, after the
// size where it is a TPM2B_ATTEST ("TPM 2.0 Library", Part 2, section 10.12).
var tpmGenerated = []byte{0xff, 'T', 'C', 'G'}

func readQuote(in input) (content, error) {
	if bytes.HasPrefix(in.raw, tpmGenerated) || len(in.raw) > 6 && bytes.Equal(in.raw[2:6], tpmGenerated) {
		return opaque{"TPMS_ATTEST, not decoded yet", in.raw}, nil
	}
	return nil, errOther
}

// specID is the signature of the first event of a crypto-agile log, behind a
// header of 32 bytes ("TCG PC Client Platform Firmware Profile", section 10.4.5.1).
const (
	specID   = "Spec ID Event03\x00"
	specIDAt = 32
)

func readEventLog(in input) (content, error) {
	if len(in.raw) > specIDAt && bytes.HasPrefix(in.raw[specIDAt:], []byte(specID)) {
		return opaque{"TCG event log, not decoded yet", in.raw}, nil
	}
	return nil, errOther
}

// ccePolicy is Rego, whose SHA-256 the platform gives as HOST_DATA.
type ccePolicy []byte

// readCCEPolicy knows Rego by the package that a module begins with, after
// comments ("Policy Language", Open Policy Agent: Modules).
func readCCEPolicy(in input) (content, error) {
	for line := range bytes.Lines(in.text) {
		words := bytes.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if len(words) == 2 && string(words[0]) == "package" {
			return ccePolicy(in.raw), nil
		}
		break
	}
	return nil, errOther
}

func (p ccePolicy) sections(time.Time) []Section {
	s := Section{Title: "CCE policy"}
	s.add("size", strconv.Itoa(len(p)), "bytes of Rego")
	s.add("SHA-256", digest(p), "HOST_DATA of a guest that runs under it, x-ms-sevsnpvm-hostdata in policies")
	return []Section{s}
}
