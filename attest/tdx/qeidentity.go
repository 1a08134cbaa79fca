package tdx

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// QEIdentity is Intel's identity of the quoting enclave for TDX (Intel PCS API, version 4,
// /tdx/certification/v4/qe/identity). It is made by [ParseQEIdentity] or [ParseCollateral]
// and is immutable. Its signature has not been verified.
type QEIdentity struct {
	signedDocument

	identity qeIdentity
}

// qeIdentity is the content, by the names of Intel's API. Unknown members are ignored.
type qeIdentity struct {
	ID                      string         `json:"id"`
	Version                 int            `json:"version"`
	IssueDate               time.Time      `json:"issueDate"`
	NextUpdate              time.Time      `json:"nextUpdate"`
	TCBEvaluationDataNumber int            `json:"tcbEvaluationDataNumber"`
	MISCSELECT              hexBytes       `json:"miscselect"`     // 4 bytes
	MISCSELECTMask          hexBytes       `json:"miscselectMask"` // 4 bytes
	Attributes              hexBytes       `json:"attributes"`     // 16 bytes
	AttributesMask          hexBytes       `json:"attributesMask"` // 16 bytes
	MRSIGNER                hexBytes       `json:"mrsigner"`       // 32 bytes
	ISVPRODID               uint16         `json:"isvprodid"`
	TCBLevels               []isvsvnStatus `json:"tcbLevels"`
}

const (
	qeIdentityID      = "TD_QE"
	qeIdentityVersion = 2
)

// ParseQEIdentity parses the answer of Intel's service, {"enclaveIdentity":…,"signature":…},
// and the PEM of the certificates that come in the header SGX-Enclave-Identity-Issuer-Chain.
// The error wraps [ErrCollateralMalformed].
func ParseQEIdentity(answer, issuers []byte) (*QEIdentity, error) {
	document, err := splitAnswer(answer, "enclaveIdentity", issuers)
	if err == nil {
		var e *QEIdentity
		if e, err = newQEIdentity(document); err == nil {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: QE identity: %w", ErrCollateralMalformed, err)
}

func newQEIdentity(document signedDocument) (*QEIdentity, error) {
	e := &QEIdentity{signedDocument: document}
	if err := decode(document.content, &e.identity); err != nil {
		return nil, err
	}
	e.issued, e.next = e.identity.IssueDate, e.identity.NextUpdate
	return e, e.identity.check()
}

func (i *qeIdentity) check() error {
	switch {
	case i.ID != qeIdentityID || i.Version != qeIdentityVersion:
		return fmt.Errorf("it is of %.20q, version %d, want %q, version %d", i.ID, i.Version, qeIdentityID, qeIdentityVersion)
	case len(i.MISCSELECT) != 4 || len(i.MISCSELECTMask) != 4 || len(i.Attributes) != 16 || len(i.AttributesMask) != 16 || len(i.MRSIGNER) != 32:
		return errors.New("miscselect must have 4 bytes, attributes 16, their masks as many, and mrsigner 32")
	case len(i.TCBLevels) == 0:
		return errors.New("there are no tcbLevels")
	case i.IssueDate.IsZero() || i.NextUpdate.IsZero():
		return errors.New("there is no issueDate or nextUpdate")
	}
	return checkStatuses(i.TCBLevels)
}

// Valid returns the times between which the document is valid.
func (e *QEIdentity) Valid() (from, to time.Time) { return e.issued, e.next }

// WithIssuers returns the document with certificates, of which one may have signed it.
func (e *QEIdentity) WithIssuers(certificates ...*x509.Certificate) *QEIdentity {
	own := *e
	own.signedDocument = own.withIssuers(certificates)
	return &own
}

func (e *QEIdentity) authenticate(_ *Quote, roots *Roots) error {
	if e == nil {
		return nil
	}
	if err := e.verify(roots); err != nil {
		return fmt.Errorf("QE identity: %w", err)
	}
	return nil
}

// level returns the level of the enclave. Its error means that it is another enclave.
func (e *QEIdentity) level(r QEReport) (levelStatus, error) {
	i := e.identity
	signer, attributes := r.MRSIGNER(), r.Attributes()
	switch {
	case !masked(r.raw[qeMISCSELECT:qeMISCSELECT+4], i.MISCSELECTMask, i.MISCSELECT):
		return levelStatus{}, fmt.Errorf("the enclave has MISCSELECT %08x, want %x under the mask %x", r.MISCSELECT(), i.MISCSELECT, i.MISCSELECTMask)
	case !masked(attributes[:], i.AttributesMask, i.Attributes):
		return levelStatus{}, fmt.Errorf("the enclave has ATTRIBUTES %x, want %x under the mask %x", attributes, i.Attributes, i.AttributesMask)
	case !bytes.Equal(signer[:], i.MRSIGNER) || r.ISVPRODID() != i.ISVPRODID:
		return levelStatus{}, fmt.Errorf("the enclave is product %d of signer %x, want %d of %x", r.ISVPRODID(), signer, i.ISVPRODID, []byte(i.MRSIGNER))
	}
	return levelOf(i.TCBLevels, r.ISVSVN()), nil
}

// masked reports whether value under the mask is want.
func masked(value, mask, want []byte) bool {
	for i := range value {
		if value[i]&mask[i] != want[i] {
			return false
		}
	}
	return true
}
