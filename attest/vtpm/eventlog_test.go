package vtpm_test

import (
	"bytes"
	"errors"
	"testing"

	"skr/attest/vtpm"
	"skr/test/vtpmtest"
)

func logOf(t testing.TB, l *vtpmtest.Log) *vtpm.EventLog {
	t.Helper()
	return must(vtpm.ParseEventLog(l.Raw()))(t)
}

func TestExplain(t *testing.T) {
	const all vtpm.Selection = 1<<24 - 1
	good := vtpmtest.SecureBootLog(true)
	checkError(t, logOf(t, good).Explain(good.PCRs(), all), "")
	located := vtpmtest.NewLog().Locality(3).Add(0, vtpmtest.Action, []byte("x"))
	checkError(t, logOf(t, located).Explain(located.PCRs(), all), "")

	for _, c := range []struct {
		name   string
		log    *vtpmtest.Log
		values vtpm.PCRs
		s      vtpm.Selection
		wrong  string
	}{
		{"header only", vtpmtest.NewLog(), good.PCRs(), 1 << 7, "PCR 7 is " + good.PCRs()[7].String() + " and has no events"},
		{"header only, PCR at its initial value", vtpmtest.NewLog(), good.PCRs(), 1<<11 | 1<<17, ""},
		{"PCR without events", good, vtpmtest.SecureBootLog(true).Extend(11, vtpm.Digest{1}).PCRs(), 1 << 11, "PCR 11 is "},
		{"PCR not requested", good, vtpmtest.SecureBootLog(true).Extend(11, vtpm.Digest{1}).PCRs(), 1 << 7, ""},
		{"extended without the log", good, vtpmtest.SecureBootLog(true).Extend(7, vtpm.Digest{1}).PCRs(), 1 << 7, "its 6 events lead to "},
		{"a longer log", vtpmtest.SecureBootLog(true).Add(4, vtpmtest.IPL, nil), good.PCRs(), 1 << 4, "its 3 events lead to "},
		{"log of another boot", vtpmtest.SecureBootLog(false), good.PCRs(), 0xff, "PCR 7 is "},
		{"locality not logged", vtpmtest.SecureBootLog(true), vtpmtest.NewLog().Locality(3).PCRs(), 1, "PCR 0 is "},
		{"value missing", good, vtpm.PCRs{}, 1, "the value of PCR 0 is missing"},
	} {
		t.Run(c.name, func(t *testing.T) { checkError(t, logOf(t, c.log).Explain(c.values, c.s), c.wrong) })
	}
}

func TestSecureBoot(t *testing.T) {
	separated := func(l *vtpmtest.Log) *vtpmtest.Log { return l.Add(7, vtpmtest.Separator, make([]byte, 4)) }
	base := func() *vtpmtest.Log { return vtpmtest.NewLog().Variable("SecureBoot", "\x01").Variable("PK", "key") }
	off := []byte("anything")
	for _, c := range []struct {
		name          string
		log           *vtpmtest.Log
		reason, wrong string
	}{
		{"on", separated(base()), "", ""},
		{"off", separated(vtpmtest.NewLog().Variable("SecureBoot", "\x00").Variable("PK", "key")), "SecureBoot is not 1", ""},
		{"empty", separated(vtpmtest.NewLog().Variable("SecureBoot", "").Variable("PK", "key")), "SecureBoot is not 1", ""},
		{"setup mode", separated(vtpmtest.NewLog().Variable("SecureBoot", "\x01").Variable("PK", "")), "setup mode", ""},
		{"debugger", separated(base().Add(7, vtpmtest.Action, []byte("UEFI Debug Mode"))), "debugger", ""},
		{"debugger under another type", separated(base().Add(7, vtpmtest.CompactHash, []byte("UEFI Debug Mode"))), "debugger", ""},
		{"header only", vtpmtest.NewLog(), "", "no separator"},
		{"no separator", base(), "", "no separator"},
		{"not measured", separated(vtpmtest.NewLog().Variable("PK", "key")), "", "not measured the variable"},
		{"measured after the separator", separated(vtpmtest.NewLog()).Variable("SecureBoot", "\x01").Variable("PK", "key"), "", "not measured the variable"},
		{"off under another type, on later", separated(vtpmtest.NewLog().Forge(7, vtpmtest.Action, off, off)).Variable("SecureBoot", "\x01"),
			"", "not measured the variable"},
		{"separator under another type", vtpmtest.NewLog().Add(7, vtpmtest.Action, make([]byte, 4)).Variable("SecureBoot", "\x01"), "", "not measured the variable"},
		{"twice", separated(base().Variable("SecureBoot", "\x01")), "", "event 3: SecureBoot is there twice"},
		{"in another PCR", separated(vtpmtest.NewLog().Add(1, vtpmtest.Action, nil)), "", "not measured the variable"},
		{"failed", base().Add(7, vtpmtest.Separator, []byte{1, 0, 0, 0}), "", "the firmware has failed"},
		{"forged data", separated(vtpmtest.NewLog().Forge(7, vtpmtest.Variable, off, forgedVariable(t))), "", "does not have its digest"},
		{"no variable", separated(vtpmtest.NewLog().Add(7, vtpmtest.Variable, off)), "", "ends too early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, err := logOf(t, c.log).SecureBoot()
			checkError(t, err, c.wrong)
			if state.Enabled != (c.reason == "" && c.wrong == "") || !bytes.Contains([]byte(state.Reason), []byte(c.reason)) {
				t.Errorf("%+v, want reason %q", state, c.reason)
			}
		})
	}
}

func forgedVariable(t *testing.T) []byte {
	t.Helper()
	return logOf(t, vtpmtest.NewLog().Variable("SecureBoot", "\x01")).Events()[0].Data
}

func TestEventLogRefused(t *testing.T) {
	if _, err := vtpm.ParseEventLog(nil); !errors.Is(err, vtpm.ErrNoLog) {
		t.Errorf("empty log: %v", err)
	}
	good := vtpmtest.SecureBootLog(true).Raw()
	header := len(vtpmtest.NewLog().Raw())
	with := func(at int, value byte) []byte { raw := bytes.Clone(good); raw[at] = value; return raw }
	for _, c := range []struct {
		name  string
		raw   []byte
		wrong string
	}{
		{"type of the header", with(4, 1), "its type is EV_POST_CODE"},
		{"another form", with(32, 's'), "no crypto-agile log"},
		{"cut in the header", good[:40], "ends too early"},
		{"no SHA-256", with(32+28+8, 0x0d), "digests of SHA-1 and SHA-384 and SHA-512 only; skr verifies the SHA-256 bank"},
		{"size of SHA-256", with(32+28+10, 33), "SHA-256 have 33 bytes"},
		{"algorithms", with(32+24, 4), "ends too early"},
		{"cut in an event", good[:header+20], "event 1: it ends too early"},
		{"cut at the end", good[:len(good)-1], "ends too early"},
		{"PCR 24", with(header, 24), "event 1: there is no PCR 24"},
		{"unknown algorithm", with(header+12, 0x12), "algorithm 0x12 of a digest is not in the header"},
		{"an algorithm twice", with(header+12+22, 0x04), "two digests of the algorithm 0x4"},
		{"no SHA-256 in an event", with(header+8, 1), "event 1: "},
		{"billions of digests", with(header+11, 0xff), "event 1: "},
		{"locality too late", vtpmtest.SecureBootLog(true).Locality(3).Raw(), "told too late"},
		{"locality twice", vtpmtest.NewLog().Locality(3).Locality(3).Raw(), "told too late"},
		{"locality 0 twice", vtpmtest.NewLog().Locality(0).Locality(0).Raw(), "told too late"},
		{"too long", make([]byte, 8<<20+1), "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := vtpm.ParseEventLog(c.raw)
			checkError(t, err, c.wrong)
		})
	}
}
