package tdx

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// TCBInfo is Intel's TCB info of a kind of platform (Intel PCS API, version 4,
// /tdx/certification/v4/tcb). It is made by [ParseTCBInfo] or [ParseCollateral] and is
// immutable. Its signature has not been verified.
type TCBInfo struct {
	signedDocument

	info tcbInfo
}

// tcbInfo is the content, by the names of Intel's API. Unknown members are ignored.
type tcbInfo struct {
	ID                      string           `json:"id"`
	Version                 int              `json:"version"`
	IssueDate               time.Time        `json:"issueDate"`
	NextUpdate              time.Time        `json:"nextUpdate"`
	FMSPC                   hexBytes         `json:"fmspc"`
	PCEID                   hexBytes         `json:"pceId"`
	TCBType                 int              `json:"tcbType"`
	TCBEvaluationDataNumber int              `json:"tcbEvaluationDataNumber"`
	TDXModule               *moduleIdentity  `json:"tdxModule"`
	TDXModuleIdentities     []moduleIdentity `json:"tdxModuleIdentities"`
	TCBLevels               []platformLevel  `json:"tcbLevels"`
}

type moduleIdentity struct {
	ID             string         `json:"id"`
	MRSIGNER       hexBytes       `json:"mrsigner"`       // 48 bytes
	Attributes     hexBytes       `json:"attributes"`     // 8 bytes
	AttributesMask hexBytes       `json:"attributesMask"` // 8 bytes
	TCBLevels      []isvsvnStatus `json:"tcbLevels"`
}

// levelStatus is what Intel says about a level.
type levelStatus struct {
	TCBDate     time.Time `json:"tcbDate"`
	TCBStatus   Status    `json:"tcbStatus"`
	AdvisoryIDs []string  `json:"advisoryIDs"`
}

type isvsvnStatus struct {
	TCB struct {
		ISVSVN uint16 `json:"isvsvn"`
	} `json:"tcb"`

	levelStatus
}

type platformLevel struct {
	TCB struct {
		SGX    []component `json:"sgxtcbcomponents"`
		PCESVN uint16      `json:"pcesvn"`
		TDX    []component `json:"tdxtcbcomponents"`
	} `json:"tcb"`

	levelStatus
}

type component struct {
	SVN uint8 `json:"svn"`
}

const (
	tcbInfoID      = "TDX"
	tcbInfoVersion = 3
	components     = 16
)

// ParseTCBInfo parses the answer of Intel's service, {"tcbInfo":…,"signature":…}, and the PEM
// of the certificates that come in the header TCB-Info-Issuer-Chain. The error wraps
// [ErrCollateralMalformed].
func ParseTCBInfo(answer, issuers []byte) (*TCBInfo, error) {
	document, err := splitAnswer(answer, "tcbInfo", issuers)
	if err == nil {
		var t *TCBInfo
		if t, err = newTCBInfo(document); err == nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%w: TCB info: %w", ErrCollateralMalformed, err)
}

func newTCBInfo(document signedDocument) (*TCBInfo, error) {
	t := &TCBInfo{signedDocument: document}
	if err := decode(document.content, &t.info); err != nil {
		return nil, err
	}
	t.issued, t.next = t.info.IssueDate, t.info.NextUpdate
	return t, t.info.check()
}

// check checks the form.
func (i *tcbInfo) check() error {
	switch {
	case i.ID != tcbInfoID || i.Version != tcbInfoVersion:
		return fmt.Errorf("it is of %.20q, version %d, want %q, version %d", i.ID, i.Version, tcbInfoID, tcbInfoVersion)
	case len(i.FMSPC) != len(PCK{}.FMSPC) || len(i.PCEID) != len(PCK{}.PCEID):
		return errors.New("fmspc must have 6 bytes and pceId 2")
	case i.TCBType != 0:
		return fmt.Errorf("tcbType is %d, want 0", i.TCBType)
	case i.TDXModule == nil:
		return errors.New("there is no tdxModule")
	case len(i.TCBLevels) == 0:
		return errors.New("there are no tcbLevels")
	case i.IssueDate.IsZero() || i.NextUpdate.IsZero():
		return errors.New("there is no issueDate or nextUpdate")
	}
	if err := i.checkModules(); err != nil {
		return err
	}
	for _, l := range i.TCBLevels {
		if len(l.TCB.SGX) != components || len(l.TCB.TDX) != components {
			return fmt.Errorf("a level has %d and %d components, want %d of each", len(l.TCB.SGX), len(l.TCB.TDX), components)
		}
		if err := l.check(); err != nil {
			return err
		}
	}
	return nil
}

// checkModules checks the form of the identities of the TDX module.
func (i *tcbInfo) checkModules() error {
	for _, m := range append([]moduleIdentity{*i.TDXModule}, i.TDXModuleIdentities...) {
		if len(m.MRSIGNER) != len(Measurement{}) || len(m.Attributes) != 8 || len(m.AttributesMask) != 8 {
			return fmt.Errorf("the TDX module %.20q must have an mrsigner of 48 bytes, attributes and attributesMask of 8", m.ID)
		}
		if err := checkStatuses(m.TCBLevels); err != nil {
			return err
		}
	}
	return nil
}

// FMSPC returns the kind of platform that the levels are for.
func (t *TCBInfo) FMSPC() [6]byte { return [6]byte(t.info.FMSPC) }

// Valid returns the times between which the document is valid.
func (t *TCBInfo) Valid() (from, to time.Time) { return t.issued, t.next }

// WithIssuers returns the document with certificates, of which one may have signed it.
func (t *TCBInfo) WithIssuers(certificates ...*x509.Certificate) *TCBInfo {
	own := *t
	own.signedDocument = own.withIssuers(certificates)
	return &own
}

func (t *TCBInfo) authenticate(q *Quote, roots *Roots) error {
	if t == nil {
		return nil
	}
	if err := t.verify(roots); err != nil {
		return fmt.Errorf("TCB info: %w", err)
	}
	if pck := q.PCK(); pck.FMSPC != t.FMSPC() || pck.PCEID != [2]byte(t.info.PCEID) {
		return fmt.Errorf("TCB info is for FMSPC %x and PCEID %x, the platform has %x and %x", t.FMSPC(), []byte(t.info.PCEID), pck.FMSPC, pck.PCEID)
	}
	return nil
}

// moduleID is the id of the identities of a TDX module, by its major version.
func moduleID(major uint8) string {
	return "TDX_" + strings.ToUpper(hex.EncodeToString([]byte{major}))
}
