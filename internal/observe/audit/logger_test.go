package audit

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func jsonLog(out io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level}))
}

// Both ways into a JSON log give the same lines.
func TestToLogger(t *testing.T) {
	open := map[string]func(io.Writer, *slog.Logger) *Log{
		"ToLogger": func(_ io.Writer, logger *slog.Logger) *Log { return ToLogger(logger, "v1") },
		"ToJSON":   func(out io.Writer, _ *slog.Logger) *Log { return ToJSON(out, "v1") },
	}
	texts := map[string]string{}
	for name, open := range open {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { texts[name] = logged(t, open) }) })
	}
	if texts["ToLogger"] != texts["ToJSON"] {
		t.Errorf("ToLogger writes\n%s\nToJSON writes\n%s", texts["ToLogger"], texts["ToJSON"])
	}
}

func logged(t *testing.T, open func(io.Writer, *slog.Logger) *Log) string {
	var out bytes.Buffer
	logger := jsonLog(&out, slog.LevelError) // audit lines do not depend on the level
	for range 2 {
		l := open(&out, logger)
		logger.Error("other", "code", "x<&>é")
		hostile := entry
		hostile.Caller = `<&>é "audit":{}}` + "\u2028"
		record(t, l, hostile, refused)
		out.WriteString("panic: not JSON at all\n\n")
		if l.Err() != nil || l.Close() != nil {
			t.Error("the log has an error")
		}
	}
	report := intact(t, out.Bytes())
	if report.Records != 6 || report.Releases != 2 || report.Refusals != 2 || report.Chains != 2 {
		t.Errorf("report is %+v in\n%s", report, out.Bytes())
	}
	lines := slices.Collect(bytes.Lines(out.Bytes()))
	for _, i := range []int{0, 2, 6, 8} { // removing a chain's last record cannot be detected
		edit := slices.Delete(slices.Clone(lines), i, i+1)
		if _, ok := broken(t, slices.Concat(edit...), ""); !ok {
			t.Errorf("the removal of line %d was not detected", i+1)
		}
	}
	return out.String()
}

// The record in the line is protected. The rest of the line is not.
func TestEveryByteOfALogMatters(t *testing.T) {
	var out bytes.Buffer
	l := ToJSON(&out, "v1")
	record(t, l, entry, refused)
	text := out.Bytes()
	for at := range text {
		lineStart := bytes.LastIndexByte(text[:at], '\n') + 1
		if at < lineStart+bytes.Index(text[lineStart:], []byte(`,"level"`)) {
			continue // slog's time
		}
		text[at] ^= 1 << (at % 8)
		if _, ok := broken(t, text, l.Head()); !ok && at != len(text)-1 {
			t.Fatalf("byte %d changed is not found in\n%s", at, text)
		}
		text[at] ^= 1 << (at % 8)
	}
}

func TestTextLogHoldsTheRecord(t *testing.T) {
	var out bytes.Buffer
	record(t, ToLogger(slog.New(slog.NewTextHandler(&out, nil)), ""), refused)
	if text := out.String(); !strings.Contains(text, "release_rejected") || !strings.Contains(text, "unknown") {
		t.Errorf("wrote %s", text)
	}
}

// fullDisk is the target of a log. It is full at times.
type fullDisk struct {
	bytes.Buffer
	err error
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	return d.Buffer.Write(p)
}

func TestLogThatFails(t *testing.T) {
	out := &fullDisk{err: errors.New("no space")}
	l := ToJSON(out, "v1")
	for range 2 {
		if err := l.Append(entry); !errors.Is(err, out.err) || !errors.Is(l.Err(), out.err) {
			t.Errorf("Append: %v, Err: %v", err, l.Err())
		}
	}
	enough := out.err
	out.err = nil
	record(t, l, entry, entry)
	out.err = enough
	if l.Append(entry) == nil {
		t.Error("no error")
	}
	out.err = nil
	record(t, l, refused)
	if report := intact(t, out.Bytes()); report.Chains != 2 || report.Records != 5 || report.Releases != 2 || l.Err() != nil {
		t.Errorf("report is %+v, error is %v, in\n%s", report, l.Err(), out.Bytes())
	}
}
