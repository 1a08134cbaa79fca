package cache

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRates(1, 2, 4)
		spend := func(name string) bool { return r.Of(name, time.Now()).AllowN(time.Now(), 1) }
		var ofA []bool
		for range 3 {
			ofA = append(ofA, spend("a"))
		}
		if !slices.Equal(ofA, []bool{true, true, false}) || !spend("b") {
			t.Fatal("names do not have separate limits")
		}
		time.Sleep(time.Hour)
		for i := range 4 { // a and b are full and are removed
			spend(strconv.Itoa(i))
		}
		if r.Len() != 4 {
			t.Errorf("%d names", r.Len())
		}
		for i := range 2 { // the others share one limiter
			if !spend("other" + strconv.Itoa(i)) {
				t.Errorf("other %d is refused", i)
			}
		}
		if spend("other2") || r.Len() != 4 || r.Renew("other3", time.Now()) != nil {
			t.Error("the others do not share one limiter")
		}
		if !spend("0") || spend("0") {
			t.Error("a flood of names changes the limit of an earlier name")
		}
		if r.Renew("0", time.Now()) == nil || !spend("0") {
			t.Error("a renewed limiter is not full")
		}
		time.Sleep(time.Hour)
		if spend("new"); r.Len() != 1 {
			t.Errorf("%d names after an idle period, want 1", r.Len())
		}
	})
}
