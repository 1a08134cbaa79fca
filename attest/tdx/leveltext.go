package tdx

import (
	"fmt"
	"time"
)

// LevelText is a level in a document, for tools that show it.
type LevelText struct {
	// Needs is what a platform must have, such as "TDX_01 version 6".
	Needs  string
	Status Status
	Date   time.Time
}

// EvaluationNumber returns the number of Intel's evaluation (tcbEvaluationDataNumber).
func (t *TCBInfo) EvaluationNumber() int { return t.info.TCBEvaluationDataNumber }

// Levels returns the levels of platforms, and those of TDX modules.
func (t *TCBInfo) Levels() []LevelText {
	var all []LevelText
	for _, l := range t.info.TCBLevels {
		needs := fmt.Sprintf("components %v, PCESVN %d, TDX module %v", svns(l.TCB.SGX), l.TCB.PCESVN, svns(l.TCB.TDX))
		all = append(all, LevelText{needs, l.TCBStatus, l.TCBDate})
	}
	for _, m := range t.info.TDXModuleIdentities {
		all = append(all, isvsvnTexts(m.ID, m.TCBLevels)...)
	}
	return all
}

// EvaluationNumber returns the number of Intel's evaluation (tcbEvaluationDataNumber).
func (e *QEIdentity) EvaluationNumber() int { return e.identity.TCBEvaluationDataNumber }

// Levels returns the levels of the quoting enclave.
func (e *QEIdentity) Levels() []LevelText {
	return isvsvnTexts("quoting enclave", e.identity.TCBLevels)
}

func isvsvnTexts(name string, levels []isvsvnStatus) []LevelText {
	var all []LevelText
	for _, l := range levels {
		all = append(all, LevelText{fmt.Sprintf("%s version %d", name, l.TCB.ISVSVN), l.TCBStatus, l.TCBDate})
	}
	return all
}

func svns(list []component) []uint8 {
	numbers := make([]uint8, len(list))
	for i, c := range list {
		numbers[i] = c.SVN
	}
	return numbers
}
