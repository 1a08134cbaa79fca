package hsm

import (
	"testing"
	"time"
)

func TestLapse(t *testing.T) {
	at := notBefore.Add(time.Hour)
	for want, v := range map[string]Validity{
		"": {},
		"is not valid before 2026-01-01T02:00:00Z": {NotBefore: at.Add(time.Hour), Expires: notAfter},
		"expired at 2026-01-01T01:00:00Z":          {NotBefore: notBefore, Expires: at},
	} {
		if got := v.Lapse(at); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := (Validity{NotBefore: at, Expires: at.Add(time.Second)}).Lapse(at); got != "" {
		t.Errorf("at its first instant: %q", got)
	}
}

// The times in a statement are read if they can be, and never block the key.
func TestStatementValidity(t *testing.T) {
	for name, c := range map[string]struct {
		attributes any
		want       Validity
	}{
		"both":       {tree{"nbf": notBefore.Unix(), "exp": notAfter.Unix()}, Validity{notBefore, notAfter}},
		"none":       {tree{"enabled": true}, Validity{}},
		"null":       {nil, Validity{}},
		"text":       {tree{"exp": "tomorrow"}, Validity{}},
		"a fraction": {tree{"exp": 1.5}, Validity{}},
		"a list":     {[]any{1}, Validity{}},
	} {
		v := newVault(t)
		v.spoil = func(r *release) { at(r.payload, "response", "key")["attributes"] = c.attributes }
		wrapped, err := v.release(keyName)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := wrapped.Validity(); !got.NotBefore.Equal(c.want.NotBefore) || !got.Expires.Equal(c.want.Expires) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
