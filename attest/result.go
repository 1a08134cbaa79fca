package attest

import (
	"time"

	"skr/internal/secmem"
	"skr/internal/strictjson"
)

// Result is an Attestation Result: a verified token.
type Result struct {
	// Token is the token as it was issued, for Relying Parties.
	Token secmem.Text
	// Claims is the token's payload.
	Claims strictjson.Object
	// Expires is the token's exp claim.
	Expires time.Time
	// Omitted are the optional parts that the evidence lacks.
	Omitted []Omission
}
