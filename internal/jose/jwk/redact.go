package jwk

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// public returns the key without its private members, for printing.
func (k Key) public() string {
	secret := ""
	if k.D != "" || k.P != "" || k.Q != "" || k.DP != "" || k.DQ != "" || k.QI != "" || k.K != "" {
		secret = " private=" + redacted
	}
	return fmt.Sprintf("jwk{kid=%q kty=%q crv=%q%s}", k.Kid, k.Kty, k.Crv, secret)
}

// String returns the key's names and redacts its private members.
func (k Key) String() string { return k.public() }

// GoString redacts the %#v form.
func (k Key) GoString() string { return k.public() }

// Format redacts every verb.
func (k Key) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(k.public())) }

// LogValue redacts in log/slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.public()) }

var (
	_ fmt.Formatter  = Key{}
	_ fmt.GoStringer = Key{}
	_ slog.LogValuer = Key{}
)
