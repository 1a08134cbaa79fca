package e2e

import (
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// matrix counts the cases of a large test by row, and prints a table. Its seed decides the
// order of the cases, and which of several equivalent cases runs. SKR_SEED repeats a run.
type matrix struct {
	seed uint64

	mu   sync.Mutex
	rows map[string]*row
}

type row struct{ good, bad, foreign int }

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{seed: rand.Uint64(), rows: map[string]*row{}}
	if text := os.Getenv("SKR_SEED"); text != "" {
		var err error
		if m.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SKR_SEED: %v", err)
		}
	}
	return m
}

// random returns the row's own generator. The rows run at the same time, and with a shared
// generator a seed would not repeat their order.
func (m *matrix) random(name string) *rand.Rand {
	hash := fnv.New64a()
	_, _ = io.WriteString(hash, name)
	return rand.New(rand.NewPCG(m.seed, hash.Sum64()))
}

// run runs a case as a subtest, and counts it unless -run leaves it out.
func (m *matrix) run(t *testing.T, name, label string, test func(*testing.T)) {
	ran := false
	passed := t.Run(label, func(t *testing.T) {
		ran = true
		test(t)
	})
	m.count(name, func(r *row) {
		switch {
		case !ran:
		case passed:
			r.good++
		default:
			r.bad++
		}
	})
}

// foreign counts a case that does not apply to this row.
func (m *matrix) foreign(name string) { m.count(name, func(r *row) { r.foreign++ }) }

func (m *matrix) count(name string, count func(*row)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows[name] == nil {
		m.rows[name] = &row{}
	}
	count(m.rows[name])
}

// print prints the table. test/summary shows lines that begin with "matrix:", although go
// test hides the output of a test that passes.
func (m *matrix) print(t *testing.T, title string) {
	t.Helper()
	const form = "matrix: %-40s %6s %12s %16s %15s\n"
	var table strings.Builder
	fmt.Fprintf(&table, form, title, "cases", "as expected", "not as expected", "not applicable")
	var sum row
	for _, name := range slices.Sorted(maps.Keys(m.rows)) {
		r := m.rows[name]
		fmt.Fprintf(&table, form, name, strconv.Itoa(r.good+r.bad), strconv.Itoa(r.good), strconv.Itoa(r.bad), strconv.Itoa(r.foreign))
		sum = row{sum.good + r.good, sum.bad + r.bad, sum.foreign + r.foreign}
	}
	fmt.Fprintf(&table, form, "total", strconv.Itoa(sum.good+sum.bad), strconv.Itoa(sum.good), strconv.Itoa(sum.bad), strconv.Itoa(sum.foreign))
	fmt.Fprintf(&table, "matrix: repeat with SKR_SEED=%d\n", m.seed)
	_, _ = io.WriteString(t.Output(), table.String()) // in one write, so that no other output comes between
}

// TestMatrix: the table counts failures too.
func TestMatrix(t *testing.T) {
	t.Setenv("SKR_SEED", "7")
	m := newMatrix(t)
	m.count("a", func(r *row) { r.good, r.bad = 3, 1 })
	m.foreign("a")
	m.run(t, "b", "good", func(*testing.T) {})
	if got := fmt.Sprint(*m.rows["a"], *m.rows["b"]); got != "{3 1 1} {1 0 0}" {
		t.Errorf("counted %s", got)
	}
	if one, again := m.random("a").Perm(99), m.random("a").Perm(99); !slices.Equal(one, again) || slices.Equal(one, m.random("b").Perm(99)) {
		t.Error("the order does not follow from seed and row")
	}
}
