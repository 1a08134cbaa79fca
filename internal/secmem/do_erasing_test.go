//go:build goexperiment.runtimesecret

package secmem

import (
	"runtime/secret"
	"testing"
)

func TestDoErases(t *testing.T) {
	inside := false
	if Do(func() { inside = secret.Enabled() }); !inside || secret.Enabled() || !Erases {
		t.Error("the function does not run in secret mode, or the code after it does")
	}
}
