package audit

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Refusals beyond the budget are counted in one record. Each release is recorded.
func TestRefusalsHaveABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		l := ToJSON(&text, "v")
		flood := func(budget string, n int) {
			e := refused
			e.Budget = budget
			for range n {
				record(t, l, e)
			}
		}
		flood("uid 1", 100*refusalsOnce)
		flood("uid 2", 2) // another caller's refusals are not lost in the flood
		record(t, l, entry, entry)
		time.Sleep(countEvery)
		synctest.Wait()
		flood("uid 1", 3) // one minute earns one record
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		report, err := Verify(bytes.NewReader(text.Bytes()), l.Head())
		if err != nil {
			t.Fatal(err)
		}
		if report.Releases != 2 || report.Refusals != refusalsOnce+3 || report.Withheld != 99*refusalsOnce+2 || l.Withheld() != 99*refusalsOnce+2 {
			t.Errorf("%+v, %d withheld", report, l.Withheld())
		}
		if n := strings.Count(text.String(), `"kind":"withheld"`); n != 2 {
			t.Errorf("%d records count the rest", n)
		}
	})
}

// In the end, a flood of callers shares one budget.
func TestManyCallersShareABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		l := ToJSON(&text, "v")
		for i := range 100 * maxBudgets {
			e := refused
			e.Budget = fmt.Sprint("uid ", i)
			record(t, l, e)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		report, err := Verify(&text, "")
		if err != nil || report.Refusals != maxBudgets+refusalsOnce || report.Refusals+report.Withheld != 100*maxBudgets {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// The count survives a full disk.
func TestTheCountIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &full{}
		l := ToJSON(out, "v")
		for range refusalsOnce + 7 {
			record(t, l, refused)
		}
		out.isFull.Store(true)
		time.Sleep(countEvery)
		synctest.Wait()
		if l.Err() == nil {
			t.Error("the failed write of the record is not reported")
		}
		out.isFull.Store(false)
		time.Sleep(countEvery)
		synctest.Wait()
		if !strings.Contains(out.String(), `"withheld":7`) || l.Err() != nil {
			t.Errorf("%v: the end is %s", l.Err(), out.String()[max(0, out.Len()-500):])
		}
	})
}

// full is a disk that can be full.
type full struct {
	bytes.Buffer

	isFull atomic.Bool
}

func (f *full) Write(text []byte) (int, error) {
	if f.isFull.Load() {
		return 0, fmt.Errorf("no space left on device")
	}
	return f.Buffer.Write(text)
}
