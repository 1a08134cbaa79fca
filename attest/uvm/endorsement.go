// Package uvm verifies endorsements of the utility VM, the small virtual machine that runs
// a confidential container group, and loads what the platform provides about it.
//
// An [Endorsement] is a COSE_Sign1 message (RFC 9052 section 4.2) in which the maker of the
// utility VM states its launch measurement and its security version number.
// [ParseEndorsement] checks that the certificates of its x5chain sign each other, that the
// did:x509 name of its issuer resolves to the first of them, and that this certificate's
// key made the signature. The result is authentic: [Endorsement.Issuer] made it. Whether an
// issuer is acceptable is the policy of the Verifier. [Endorsement.KnownIssuer] only tells
// operators whether the issuer is one of Microsoft's.
//
// [Load] finds the endorsement, the CCE policy and the host's AMD certificates in the
// security-context directory that the platform mounts.
//
//	context, err := uvm.Load(uvm.Config{}) // err says which parts cannot be used
//	if context.Endorsement != nil && !context.Endorsement.KnownIssuer() {
//		log.Warn("the utility VM is not endorsed by Microsoft")
//	}
//
// The package does not compare the endorsement with a report, which package attest does. It
// does not check the RFC 3161 time stamp or the SCITT receipts in the unprotected header of
// endorsements.
package uvm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"skr/internal/jose/sign1"
)

// maxEndorsement bounds a message in bytes. Real messages have 6 to 11 KB, with three
// certificates and a time stamp of 5 KB.
const maxEndorsement = 64 << 10

const (
	labelPreimageFormat = int64(259) // COSE hash envelope: content type of what was hashed
	hashSHA384          = int64(-43) // IANA "COSE Algorithms" registry, RFC 9054 section 2.1
)

// measurement is MEASUREMENT of an SNP report (AMD 56860 table 23), the launch digest of the
// utility VM.
type measurement [48]byte

// Endorsement is a COSE_Sign1 whose signature, x5chain and did:x509 issuer have been
// verified. It is made only by ParseEndorsement.
type Endorsement struct {
	raw         []byte
	issuer      string
	feed        string
	contentType string
	guestSVN    uint64
	measurement measurement
}

// ParseEndorsement decodes and verifies a COSE_Sign1 message. Its error wraps [ErrIssuer] or
// [ErrSignature] if the message is well-formed and not authentic.
func ParseEndorsement(raw []byte) (*Endorsement, error) {
	endorsement, err := parseEndorsement(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing endorsement: %w", err)
	}
	return endorsement, nil
}

func parseEndorsement(raw []byte) (*Endorsement, error) {
	message, err := sign1.Verify(raw, maxEndorsement)
	if err != nil {
		return nil, err
	}
	e := &Endorsement{raw: bytes.Clone(raw), issuer: message.Issuer, feed: message.Feed}
	read := parseStatement
	e.contentType = message.ContentType
	if message.Claims != nil {
		if read, err = bareLayout(message); err != nil {
			return nil, err
		}
		format, _ := message.Header(labelPreimageFormat)
		e.contentType = sign1.Describe(format)
	}
	statement, err := read(message.Payload)
	if err != nil {
		return nil, err
	}
	e.guestSVN, e.measurement = statement.guestSVN, statement.measurement
	return e, nil
}

// bareLayout returns the reader of the payload since ContainerPlat 0.2.10 (CCF,
// src/node/uvm_endorsements.cpp, decode_protected_header_with_cwt): names and version are
// CWT claims, and only the measurement is the payload, which makes the message a COSE hash
// envelope.
func bareLayout(message *sign1.Message) (func([]byte) (statement, error), error) {
	svn, found, err := message.SVN()
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errors.New("the CWT claim svn is not an unsigned number")
	}
	// A launch digest is SHA-384. With another hash the payload is something else.
	if hash, found := message.Header(sign1.LabelPayloadHash); found && hash != hashSHA384 {
		return nil, fmt.Errorf("the payload's hash algorithm %v is not SHA-384 (%d)", hash, hashSHA384)
	}
	return func(payload []byte) (statement, error) { return bareStatement(payload, svn) }, nil
}

// Raw returns a copy of the COSE_Sign1 bytes.
func (e *Endorsement) Raw() []byte { return bytes.Clone(e.raw) }

// Issuer returns the did:x509 name of the maker of the endorsement.
func (e *Endorsement) Issuer() string { return e.issuer }

// Feed returns the name of the line of utility VMs, such as "ContainerPlat-AMD-UVM".
func (e *Endorsement) Feed() string { return e.feed }

// ContentType describes the payload or, if the payload is the bare measurement, what was
// measured: "application/json", "application/octet-stream". It is "" if the maker does not
// say. It is informative only.
func (e *Endorsement) ContentType() string { return e.contentType }

// GuestSVN returns the endorsed utility VM's security version number.
func (e *Endorsement) GuestSVN() uint64 { return e.guestSVN }

// Measurement returns the endorsed launch measurement.
func (e *Endorsement) Measurement() [48]byte { return e.measurement }

// String returns issuer, feed, version and measurement for the log.
func (e *Endorsement) String() string {
	return fmt.Sprintf("issuer %q, feed %q, guest svn %d, measurement %s",
		e.issuer, e.feed, e.guestSVN, hex.EncodeToString(e.measurement[:]))
}
