package refusal

import (
	"errors"
	"io"
	"testing"
)

func TestErrorLogsMoreThanTheCallerSees(t *testing.T) {
	err := Because(KeyNotFound, "the vault has no key \"k\"", io.ErrUnexpectedEOF)
	refused, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%v is not a refusal", err)
	}
	if got, want := refused.Public(), `key not found: the vault has no key "k"`; got != want {
		t.Errorf("public text %q, want %q", got, want)
	}
	if got, want := err.Error(), `key not found: the vault has no key "k": unexpected EOF`; got != want {
		t.Errorf("log text %q, want %q", got, want)
	}
	if !errors.Is(err, KeyNotFound) || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, Timeout) {
		t.Error("errors.Is must match exactly the kind and the cause")
	}
}

func TestTheNearestPartyIsKept(t *testing.T) {
	inner := Newf(Throttled, "the vault asks to wait")
	if outer := Because(Unavailable, "the release did not work", inner); outer != inner { //nolint:errorlint // compares the value itself
		t.Errorf("got %v, want %v", outer, inner)
	}
}
