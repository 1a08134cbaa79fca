package crash

import (
	"strings"
	"testing"
)

func recovered(do func(secret string)) (err *Error) {
	defer func() {
		if value := recover(); value != nil {
			err = From(value)
		}
	}()
	do("canary-value")
	return nil
}

func TestFrom(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(string)
		want string
	}{
		"a value that quotes a secret": {func(secret string) { panic("working on " + secret) }, "panic with a string"},
		"the runtime's own":            {func(secret string) { _ = []int{}[len(secret)] }, "index out of range [12]"},
	} {
		err := recovered(c.do)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error()+err.Stack(), "canary") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(err.Stack(), "crash.TestFrom") || strings.Contains(err.Stack(), "0x") {
			t.Errorf("%s: the stack is\n%s", name, err.Stack())
		}
	}
}
