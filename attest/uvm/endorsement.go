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
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"github.com/veraison/go-cose"
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
	message, err := decodeSign1(raw)
	if err != nil {
		return nil, err
	}
	envelope, err := readEnvelope(message)
	if err != nil {
		return nil, err
	}
	leaf, err := resolve(envelope.issuer, envelope.chain)
	if err != nil {
		return nil, err
	}
	if err := verifySignature(message, envelope.algorithm, leaf); err != nil {
		return nil, err
	}
	statement, err := envelope.statement(message.Payload)
	if err != nil {
		return nil, err
	}
	return &Endorsement{
		bytes.Clone(raw), envelope.issuer, envelope.feed, envelope.contentType, statement.guestSVN, statement.measurement,
	}, nil
}

func resolve(issuer string, chain []*x509.Certificate) (*x509.Certificate, error) {
	name, err := parseDID(issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	leaf, err := name.resolve(chain)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIssuer, err)
	}
	return leaf, nil
}

func verifySignature(message *cose.Sign1Message, algorithm cose.Algorithm, leaf *x509.Certificate) error {
	verifier, err := cose.NewVerifier(algorithm, leaf.PublicKey)
	if err != nil {
		return fmt.Errorf("using the leaf's key: %w", err)
	}
	if err := message.Verify(nil, verifier); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
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
