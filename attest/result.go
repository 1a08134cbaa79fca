package attest

import (
	"time"

	"skr/internal/secmem"
	"skr/internal/strictjson"
)

// Result is an Attestation Result: a token that has been verified.
type Result struct {
	// Token is shown to Relying Parties, as it was issued.
	Token secmem.Text
	// Claims is the token's payload.
	Claims strictjson.Object
	// Expires is the token's exp claim.
	Expires time.Time
	// Omitted are the optional parts that the evidence went without.
	Omitted []Omission
}
