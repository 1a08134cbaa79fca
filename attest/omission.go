package attest

import (
	"fmt"
	"strings"
)

// Optional parts of evidence.
const (
	UVMEndorsement = "UVM endorsement"
	EventLog       = "event log"
	AKCertificate  = "attestation key certificate"
)

// Omission is an optional part of evidence that exists but cannot be used. The evidence
// lacks it, and the Verifier makes fewer claims.
type Omission struct {
	// Part is one of the constants.
	Part string
	// Err is the reason, for operators and callers. It names files and has no secret.
	Err error
}

// claimsOf has, for each part, the prefixes of the claims that a Verifier makes because
// of it.
var claimsOf = map[string][]string{
	UVMEndorsement: {"x-ms-compliance-status", "x-ms-sevsnpvm-uvm-endorsement"},
	EventLog:       {"secureboot", "x-ms-azurevm-"},
}

// Explains reports whether a token may lack the claim because of the omission.
func (o Omission) Explains(claim string) bool {
	for _, start := range claimsOf[o.Part] {
		if strings.HasPrefix(claim, start) {
			return true
		}
	}
	return false
}

// String returns one sentence.
func (o Omission) String() string {
	return fmt.Sprintf("the evidence goes without the %s, which cannot be used: %.400s", o.Part, o.Err)
}

// Sentences returns all omissions, each after a semicolon, to continue a sentence.
func Sentences(omitted []Omission) string {
	var text strings.Builder
	for _, o := range omitted {
		text.WriteString("; " + o.String())
	}
	return text.String()
}

func (e *Evidence) omit(part string, err error) {
	if err != nil {
		e.Omitted = append(e.Omitted, Omission{part, err})
	}
}
