package tool

import (
	"fmt"
	"runtime"
	"testing"
)

// ended records how a test ended.
type ended struct {
	testing.TB
	how string
}

func (e *ended) Helper() {}
func (e *ended) Fatalf(format string, args ...any) {
	e.how = "failed: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}
func (e *ended) Skipf(format string, args ...any) {
	e.how = "skipped: " + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestNeed(t *testing.T) {
	for _, c := range []struct{ ci, name, want string }{
		{"", "go", ""},
		{"true", "go", ""},
		{"", "no-such-program", "skipped: no-such-program is missing (apt-get install a b)"},
		{"true", "no-such-program", "failed: no-such-program is missing: apt-get install a b"},
	} {
		t.Setenv("CI", c.ci)
		e, done := &ended{TB: t}, make(chan struct{})
		go func() {
			defer close(done)
			Need(e, c.name, "a b")
		}()
		if <-done; e.how != c.want {
			t.Errorf("CI=%s %s: %q, want %q", c.ci, c.name, e.how, c.want)
		}
	}
}
