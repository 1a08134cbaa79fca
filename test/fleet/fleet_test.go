package fleet

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	pods  = flag.Int("pods", defaultPods, "size of the simulated fleet")
	write = flag.Bool("write", false, "write the tables and plots of docs/fleet.md instead of comparing them")
)

// simulate runs c in virtual time.
func simulate(t *testing.T, c Config) (r *Result) {
	t.Helper()
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = Run(c); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%v of virtual time in %v, %d MiB\n%s", r.Total.Round(time.Second), time.Since(began).Round(time.Millisecond), r.Memory>>20, r.row())
	return r
}

// inTurn returns the policy that must meet all targets.
func inTurn() Policy {
	return Policy{Name: "in turn", Window: fleetWindow(), InTurn: true, Index: true}
}

// fleetWindow returns the setting that docs/fleet.md recommends.
func fleetWindow() time.Duration { return ideal(*pods) * 105 / 100 }

// policies returns the policies in the order of docs/fleet.md.
func policies() []Policy {
	return []Policy{
		{Name: "Retry-After alone", Insist: true},
		{Name: "no setting"},
		{Name: "window, place at random", Window: fleetWindow()},
		{Name: "window and member", Window: fleetWindow(), Index: true},
		{Name: "in turn, place at random", Window: fleetWindow(), InTurn: true},
		inTurn(),
	}
}

// bounds are the maxima of a run; zero means no bound.
type bounds struct {
	total, vault, maa, settled float64
	median                     float64 // longest wait ÷ median
}

// fleetTargets are the bounds of a fleet that restarts at once.
var fleetTargets = bounds{total: 1.2, vault: 1.5, maa: 1.5, settled: 1.2, median: 3}

func (b bounds) check(t *testing.T, r *Result) {
	t.Helper()
	f := r.figures()
	if r.Failed > 0 || len(r.Waits) != r.Config.Pods || r.Restarts > 0 {
		t.Errorf("%d of %d pods got a key, %d failed, %d restarts", len(r.Waits), r.Config.Pods, r.Failed, r.Restarts)
	}
	for _, bound := range []struct {
		name      string
		got, most float64
	}{
		{"total time ÷ (pods ÷ limit)", f.total, b.total},
		{"requests per pod to the vault", f.vault, b.vault},
		{"requests per pod to the authority", f.maa, b.maa},
		{"peak requests per second after the first 10 s ÷ limit", f.settled, b.settled},
		{"longest wait ÷ median", float64(f.max) / float64(f.median), b.median},
	} {
		if bound.most > 0 && bound.got > bound.most {
			t.Errorf("%s: %.3f, more than %.2f", bound.name, bound.got, bound.most)
		}
	}
}

// TestRestart: the whole fleet restarts at once.
func TestRestart(t *testing.T) {
	t.Parallel()
	fleetTargets.check(t, simulate(t, Config{Pods: *pods, Policy: inTurn()}))
}

// TestSlowRestart: pods that start over a longer time than the window keep their places, and
// the vault gets no more requests than its limit.
func TestSlowRestart(t *testing.T) {
	t.Parallel()
	r := simulate(t, Config{Pods: *pods / 4, Policy: Policy{Name: "in turn", Window: fleetWindow() / 4, InTurn: true, Index: true}, Skew: fleetWindow() / 2})
	bounds{vault: 1.5, maa: 1.5, settled: 1.2}.check(t, r)
}

// TestLonePod: without in_turn a single pod does not wait for its turn.
func TestLonePod(t *testing.T) {
	t.Parallel()
	r := simulate(t, Config{Pods: 1, Policy: Policy{Name: "window and member", Window: time.Hour, Index: true}})
	if len(r.Waits) != 1 || r.Waits[0] > time.Second {
		t.Errorf("waits %v", r.Waits)
	}
}

// TestRegionDies: if a region dies before or during a restart, every pod gets its key from
// the other region. The authority and the vault of the dead region refuse connections or are
// silent.
func TestRegionDies(t *testing.T) {
	t.Parallel()
	for _, silent := range []bool{false, true} {
		for _, kill := range []time.Duration{time.Nanosecond, fleetWindow() / 6} {
			t.Run(fmt.Sprintf("after %v, silent %v", kill, silent), func(t *testing.T) {
				t.Parallel()
				r := simulate(t, Config{
					Pods: *pods / 2, Policy: Policy{Name: "in turn", Window: fleetWindow() / 2, InTurn: true, Index: true},
					Regions: 2, Kill: kill, Silent: silent,
				})
				// A request waits half a minute for a silent region.
				late := float64(time.Minute) / float64(ideal(*pods/2))
				bounds{total: 1.2 + late, settled: 1.6}.check(t, r)
				if first, second := r.Vaults[0].Asked, r.Vaults[1].Asked; second < *pods/2-first {
					t.Errorf("%d and %d requests served all pods", first, second)
				}
			})
		}
	}
}

// TestDocumented: docs/fleet.md and its plot show the results of this simulation.
func TestDocumented(t *testing.T) {
	if detecting {
		t.Skip("the documented fleets are too large for the race detector")
	}
	t.Parallel()
	results := make([]*Result, len(policies()))
	t.Run("policies", func(t *testing.T) {
		for i, policy := range policies() {
			t.Run(policy.Name, func(t *testing.T) {
				t.Parallel()
				results[i] = simulate(t, Config{Pods: *pods, Policy: policy})
			})
		}
	})
	table := header
	for _, r := range results {
		if r == nil {
			return // -run left a policy out
		}
		table += r.row()
	}
	compare(t, fmt.Sprintf("../../docs/pictures/fleet-%d.svg", *pods), func(string) string { return svg(results, wide) })
	compare(t, fmt.Sprintf("../../docs/pictures/fleet-%d-narrow.svg", *pods), func(string) string { return svg(results, narrow) })
	compare(t, "../../docs/fleet.md", func(text string) string { return replaceTable(text, *pods, table) })
}

// replaceTable replaces the table after the marker of its fleet.
func replaceTable(text string, pods int, table string) string {
	before, rest, found := strings.Cut(text, fmt.Sprintf("<!-- %d pods -->\n", pods))
	if !found {
		return fmt.Sprintf("(no marker for %d pods)", pods)
	}
	_, after, _ := strings.Cut(rest, "\n\n")
	return before + fmt.Sprintf("<!-- %d pods -->\n", pods) + table + "\n" + after
}

// compare compares a file with its expected content, or writes it.
func compare(t *testing.T, path string, want func(text string) string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil && !*write {
		t.Fatal(err)
	}
	wanted := want(string(got))
	if *write {
		if err := os.WriteFile(path, []byte(wanted), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(got) != wanted {
		t.Errorf("%s differs from the simulation; `make fleet` writes it", path)
	}
}
