package crash

import (
	"errors"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(string)
		want string
	}{
		"a value that quotes a secret": {func(secret string) { panic("working on " + secret) }, "panic with a string"},
		"runtime panic":                {func(secret string) { _ = []int{}[len(secret)] }, "index out of range [12]"},
	} {
		err, ok := errors.AsType[*Error](Guard(func() error { c.do("canary-value"); return nil }))
		if !ok || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error()+err.Stack(), "canary") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(err.Stack(), "crash.TestGuard") || strings.Contains(err.Stack(), "0x") {
			t.Errorf("%s: the stack is\n%s", name, err.Stack())
		}
	}
}

func TestBeside(t *testing.T) {
	begun := make(chan struct{})
	wait := Beside(func() error { close(begun); return errors.New("no") })
	<-begun // nothing waits yet
	for range 2 {
		if err := wait(); err == nil || err.Error() != "no" {
			t.Errorf("got %v", err)
		}
	}
	if _, crashed := errors.AsType[*Error](Beside(func() error { panic("secret") })()); !crashed {
		t.Error("a panic gave no error")
	}
}
