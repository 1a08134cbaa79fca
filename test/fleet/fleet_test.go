package fleet

import (
	"flag"
	"testing"
	"testing/synctest"
	"time"
)

var pods = flag.Int("pods", 10_000, "size of the simulated fleet")

func simulate(t *testing.T, c Config) (r *Result) {
	t.Helper()
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = Run(c); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%d pods, %s: real time %v, memory %d MiB", c.Pods, c.Policy.Name, time.Since(began).Round(time.Millisecond), r.Memory>>20)
	return r
}

func TestTry(t *testing.T) {
	n := *pods
	win := time.Duration(n) * time.Second / 50 * 105 / 100
	for _, p := range []Policy{
		{Name: "widen"},
		{Name: "window random", Window: win},
		{Name: "window index", Window: win, Index: true},
		{Name: "in turn random", Window: win, InTurn: true},
		{Name: "in turn index", Window: win, InTurn: true, Index: true},
		{Name: "insist", Insist: true},
	} {
		r := simulate(t, Config{Pods: n, Policy: p})
		v, m := r.Vaults[0], r.Authorities[0]
		peak, peaklate := 0, 0
		for s, k := range v.Rate {
			if s >= 10 {
				peak = max(peak, k)
			}
			if s >= 60 {
				peaklate = max(peaklate, k)
			}
		}
		t.Logf("   failed %d, total %.2f, vault req/pod %.2f maa %.2f, median %v max %v, peak %.2f late %.2f restarts %d", r.Failed, r.Total.Seconds()/(float64(n)/50), float64(v.Asked)/float64(n), float64(m.Asked)/float64(n), r.Waits[len(r.Waits)/2], r.Waits[len(r.Waits)-1], float64(peak)/50, float64(peaklate)/50, r.Restarts)
	}
}
