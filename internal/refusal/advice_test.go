package refusal_test

import (
	"errors"
	"fmt"
	"testing"

	"skr/internal/refusal"
)

func TestAdvice(t *testing.T) {
	cause := errors.New("cause; of two parts")
	deep := fmt.Errorf("reading: %w", refusal.Advised(cause, "restart it"))
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"none":                   {cause, ""},
		"the cause's":            {deep, "restart it"},
		"the nearest":            {refusal.Advised(refusal.Because(refusal.NoEvidence, "no report; look", deep), "far"), "restart it"},
		"one of two":             {fmt.Errorf("%w; %w", cause, deep), "restart it"},
		"the reason's":           {refusal.Because(refusal.Untrusted, "another server; check the name", cause), "check the name"},
		"a cause without advice": {refusal.Because(refusal.KeyNotFound, cause.Error(), cause), "`skrctl key list` shows the keys that there are"},
		"the kind's":             {refusal.Newf(refusal.KeyNotFound, "none"), "`skrctl key list` shows the keys that there are"},
		"a kind without":         {refusal.Newf(new(refusal.Kind), "no JSON"), ""},
		"nil cause":              {refusal.Advised(nil, "x"), ""},
	} {
		if got := refusal.Advice(test.err); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if text := refusal.Advised(cause, "x").Error(); text != cause.Error() {
		t.Errorf("advice changed the text to %q", text)
	}
}
