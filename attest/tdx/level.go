package tdx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Level is the TCB level of a platform: its status, and why.
type Level struct {
	// Status is the worst of the platform's, the TDX module's and the quoting enclave's.
	Status Status
	// Because names the part that has this status, such as "the platform".
	Because string
	// Date is the date of the oldest of the levels; zero if no level applies.
	Date time.Time
	// Advisories are Intel's, for all levels.
	Advisories []string
	// EvaluationNumber is the number of Intel's evaluation (tcbEvaluationDataNumber).
	EvaluationNumber int
}

// String returns the status with its reason.
func (l Level) String() string {
	text := fmt.Sprintf("%s by %s", l.Status, l.Because)
	if !l.Date.IsZero() {
		text += " as of " + l.Date.UTC().Format(time.DateOnly)
	}
	if len(l.Advisories) > 0 {
		text += ", " + strings.Join(l.Advisories, ", ")
	}
	return text
}

// add converges the status with that of another part, as Intel's library does for the TDX
// module and the quoting enclave (intel/confidential-computing.tee.dcap.qvl, QuoteVerifier,
// convergeTcbStatus): OutOfDate there makes what needs configuration OutOfDateConfigurationNeeded.
func (l *Level) add(name string, other levelStatus) {
	status := other.TCBStatus
	needsConfiguration := l.Status == ConfigurationNeeded || l.Status == ConfigurationAndSWHardeningNeeded
	if status == OutOfDate && needsConfiguration {
		status = OutOfDateConfigurationNeeded
	}
	if slices.Index(byHarm, status) > slices.Index(byHarm, l.Status) {
		l.Status, l.Because = status, name
	}
	if other.TCBDate.Before(l.Date) { // the zero time of no level is before all
		l.Date = other.TCBDate
	}
	for _, id := range other.AdvisoryIDs {
		if !slices.Contains(l.Advisories, id) {
			l.Advisories = append(l.Advisories, id)
		}
	}
}

// byHarm are the statuses, the worst last.
var byHarm = []Status{
	UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDate, OutOfDateConfigurationNeeded, NotSupported, Revoked,
}

func (s levelStatus) check() error {
	if !slices.Contains(byHarm, s.TCBStatus) || s.TCBStatus == NotSupported {
		return fmt.Errorf("a level has the unknown tcbStatus %.60q", s.TCBStatus)
	}
	return nil
}

func checkStatuses(levels []isvsvnStatus) error {
	for _, l := range levels {
		if err := l.check(); err != nil {
			return err
		}
	}
	return nil
}

// levelOf returns the first level whose security version the component has.
func levelOf(levels []isvsvnStatus, svn uint16) levelStatus {
	for _, l := range levels {
		if l.TCB.ISVSVN <= svn {
			return l.levelStatus
		}
	}
	return levelStatus{TCBStatus: NotSupported}
}

// level returns the level of platform and TDX module (Intel PCS API, version 4, section on
// determining the TCB status of a TDX platform). Its error means that Intel did not sign the
// TDX module.
func (t *TCBInfo) level(q *Quote) (Level, error) {
	svn, major := q.TEETCBSVN().Module()
	module := *t.info.TDXModule
	if major > 0 {
		at := slices.IndexFunc(t.info.TDXModuleIdentities, func(m moduleIdentity) bool { return strings.EqualFold(m.ID, moduleID(major)) })
		if at < 0 {
			return Level{}, fmt.Errorf("there is no identity of the TDX module %s", moduleID(major))
		}
		module = t.info.TDXModuleIdentities[at]
	}
	if err := module.check(q); err != nil {
		return Level{}, err
	}
	platform := t.platform(q)
	level := Level{
		Status: platform.TCBStatus, Because: "the platform", Date: platform.TCBDate, Advisories: slices.Clone(platform.AdvisoryIDs),
		EvaluationNumber: t.info.TCBEvaluationDataNumber,
	}
	if major > 0 {
		level.add("the TDX module", levelOf(module.TCBLevels, uint16(svn)))
	}
	return level, nil
}

// check compares signer and attributes of the TDX module.
func (m moduleIdentity) check(q *Quote) error {
	signer := q.MRSIGNERSEAM()
	var attributes [8]byte
	binary.LittleEndian.PutUint64(attributes[:], q.SEAMAttributes())
	switch {
	case !bytes.Equal(signer[:], m.MRSIGNER):
		return errors.New("the TDX module is of another signer: MRSIGNERSEAM is " + signer.String())
	case !masked(attributes[:], m.AttributesMask, m.Attributes):
		return fmt.Errorf("the TDX module has SEAMATTRIBUTES %x, want %x under the mask %x", attributes, m.Attributes, m.AttributesMask)
	}
	return nil
}

// platform returns the first level that the platform reaches.
func (t *TCBInfo) platform(q *Quote) levelStatus {
	pck, svn := q.PCK(), q.TEETCBSVN()
	first := 0 // of the module's components; an identity has the first two from version 1 on
	if _, major := svn.Module(); major > 0 {
		first = 2
	}
	for _, l := range t.info.TCBLevels {
		if l.TCB.PCESVN <= pck.PCESVN && reaches(pck.SVNs[:], l.TCB.SGX) && reaches(svn[first:], l.TCB.TDX[first:]) {
			return l.levelStatus
		}
	}
	return levelStatus{TCBStatus: NotSupported}
}

func reaches(has []uint8, needs []component) bool {
	for i := range needs {
		if has[i] < needs[i].SVN {
			return false
		}
	}
	return true
}
