//go:build linux

package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
)

var entry = Entry{
	RequestID: "0123456789abcdef", Caller: "uid 1000 gid 1000 pid 4711 rule kafka",
	Key: "v.vault.azure.net/keys/k", Released: "https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef",
	Authority: "sharedneu.neu.attest.azure.net", PolicySHA256: strings.Repeat("ab", 32), Result: Released,
}

var refused = Entry{RequestID: "r-2", Caller: "loopback", Key: "v.vault.azure.net/keys/other", Authority: entry.Authority, Result: "release_rejected"}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "audit.log") }

func begin(t testing.TB, path string) *Log {
	t.Helper()
	l, err := Open(path, "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func record(t testing.TB, l *Log, entries ...Entry) {
	t.Helper()
	for _, e := range entries {
		if err := l.Append(e); err != nil {
			t.Fatal(err)
		}
	}
}

func end(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func contents(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func size(t testing.TB, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Size())
}

func put(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func intact(t testing.TB, text []byte) Report {
	t.Helper()
	report, err := Verify(bytes.NewReader(text), "")
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return report
}

func TestFormat(t *testing.T) {
	path := newPath(t)
	synctest.Test(t, func(t *testing.T) {
		l := begin(t, path)
		record(t, l, refused)
		if l.Head() != "3577569a02de44d7ab2b8cec8bbe8d1573c8b07e721c356e63c3af886e93947b" {
			t.Errorf("head is %s", l.Head())
		}
		end(t, l)
	})
	const want = `{"seq":1,"time":"2000-01-01T00:00:00.000000Z","kind":"opened","version":"v1.2.3",` +
		`"prev":"0000000000000000000000000000000000000000000000000000000000000000",` +
		`"hash":"4a37120ea1910a60cc9c31c2c20b2d471c9b6efa2128133fd779453820598b3a"}` + "\n" +
		`{"seq":2,"time":"2000-01-01T00:00:00.000000Z","kind":"release","request_id":"r-2","caller":"loopback","key":"v.vault.azure.net/keys/other",` +
		`"released":"","authority":"sharedneu.neu.attest.azure.net","policy_sha256":"","result":"release_rejected",` +
		`"prev":"4a37120ea1910a60cc9c31c2c20b2d471c9b6efa2128133fd779453820598b3a",` +
		`"hash":"3577569a02de44d7ab2b8cec8bbe8d1573c8b07e721c356e63c3af886e93947b"}` + "\n"
	if got := string(contents(t, path)); got != want {
		t.Errorf("wrote\n%s\nwant\n%s", got, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
}

func TestContinues(t *testing.T) {
	path := newPath(t)
	for range 200 { // longer than the part read from the end
		l := begin(t, path)
		record(t, l, entry, refused)
		end(t, l)
	}
	text := contents(t, path)
	if len(text) < 2*maxTail {
		t.Fatalf("the file has only %d bytes", len(text))
	}
	report := intact(t, text)
	if report.Records != 600 || report.Releases != 200 || report.Refusals != 200 || report.Chains != 1 || report.Torn != 0 || report.SetBack != 0 {
		t.Errorf("report is %+v", report)
	}
}

func TestConcurrentAppends(t *testing.T) {
	path := newPath(t)
	l := begin(t, path)
	const callers, each = 16, 50
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				if err := errors.Join(l.Append(entry), l.Err()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if report := intact(t, contents(t, path)); report.Releases != callers*each || report.Head != l.Head() {
		t.Errorf("report is %+v, head is %s", report, l.Head())
	}
}

func TestOpenRefuses(t *testing.T) {
	good := func(t *testing.T, path string) []byte {
		l := begin(t, path)
		record(t, l, entry, refused)
		end(t, l)
		return contents(t, path)
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, path string) error
		want string
	}{
		"a link":           {func(_ *testing.T, path string) error { return os.Symlink("/dev/null", path) }, "is a symbolic link"},
		"a directory":      {func(_ *testing.T, path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		"a pipe":           {func(_ *testing.T, path string) error { return syscall.Mkfifo(path, 0o600) }, "not a regular file"},
		"no directory":     {func(_ *testing.T, path string) error { return os.Remove(filepath.Dir(path)) }, "no such file"},
		"writable for all": {func(t *testing.T, path string) error { good(t, path); return os.Chmod(path, 0o602) }, "all users may write it"},
		"open already":     {func(t *testing.T, path string) error { begin(t, path); return nil }, "another skr has it open"},
		"another text":     {func(t *testing.T, path string) error { put(t, path, []byte("root:x:0:0\n")); return nil }, "is not a record"},
		"another text without newline": {func(t *testing.T, path string) error { put(t, path, []byte("hello")); return nil },
			"is not a record"},
		"last record changed": {func(t *testing.T, path string) error {
			put(t, path, bytes.Replace(good(t, path), []byte("release_rejected"), []byte("key_not_foundxxx"), 1))
			return nil
		}, "a line near its end was modified"},
		"last record changed, newline gone": {func(t *testing.T, path string) error {
			text := bytes.Replace(good(t, path), []byte("release_rejected"), []byte("key_not_foundxxx"), 1)
			put(t, path, text[:len(text)-1])
			return nil
		}, "its last line was modified"},
		"record removed": {func(t *testing.T, path string) error {
			lines := bytes.SplitAfter(good(t, path), []byte("\n"))
			put(t, path, append(lines[0], lines[2]...))
			return nil
		}, "has seq 3 instead of 2"},
		"long foreign text at the end": {func(t *testing.T, path string) error {
			put(t, path, append(good(t, path), bytes.Repeat([]byte("x"), maxTail)...))
			return nil
		}, "its end has no record"},
		"torn line too long": {func(t *testing.T, path string) error {
			put(t, path, append(good(t, path), bytes.Repeat([]byte("\n"), maxTorn+1)...))
			return nil
		}, "is not a complete record"},
	} {
		path := filepath.Join(t.TempDir(), "d", "audit.log")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := c.make(t, path); err != nil {
			t.Fatal(err)
		}
		before := held(path)
		l, err := Open(path, "v")
		if err == nil {
			end(t, l)
			t.Errorf("%s: opens", name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if held(path) != before {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

// held returns the content of a regular file.
func held(path string) string {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	text, _ := os.ReadFile(path) // the comparison fails without it
	return string(text)
}

// TestMain also runs the child process of TestAnotherProcess.
func TestMain(m *testing.M) {
	path := os.Getenv("AUDIT_TEST_FILE")
	if path == "" {
		os.Exit(m.Run())
	}
	l, err := Open(path, "child")
	if err == nil {
		err = l.Append(entry)
	}
	fmt.Println(err)
	_, _ = io.ReadAll(os.Stdin) // until the parent closes the input
}

func TestAnotherProcess(t *testing.T) {
	path := newPath(t)
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "AUDIT_TEST_FILE="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	if _, err := fmt.Fscanln(out, &said); err != nil || said != "<nil>" {
		t.Fatalf("the child prints %q, %v", said, err)
	}
	if _, err := Open(path, "v"); err == nil || !strings.Contains(err.Error(), "another skr has it open") {
		t.Errorf("with the other process alive: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // the child was killed
	l := begin(t, path)
	record(t, l, entry)
	if report := intact(t, contents(t, path)); report.Records != 4 || report.Releases != 2 {
		t.Errorf("report is %+v", report)
	}
}

// A crash can leave any prefix of a write. The next start can crash in the same way.
func TestEveryCrash(t *testing.T) {
	path := newPath(t)
	l := begin(t, path)
	record(t, l, entry, refused)
	end(t, l)
	text := contents(t, path)
	twice := []int{0, 1, len(text) / 2, len(text) - 1}
	for cut := range len(text) + 1 {
		put(t, path, text[:cut])
		mended := mend(t, path, text[:cut])
		if !slices.Contains(twice, cut) {
			continue
		}
		for again := cut; again < len(mended); again++ {
			put(t, path, mended[:again])
			mend(t, path, mended[:again])
		}
	}
}

// mend opens a file and returns its content. All earlier content must still be there.
func mend(t *testing.T, path string, was []byte) []byte {
	t.Helper()
	l, err := Open(path, "v2")
	if err != nil {
		t.Fatalf("%v with\n%s", err, was)
	}
	record(t, l, refused)
	if err := l.out.(file).Close(); err != nil { // a crash does not sync
		t.Fatal(err)
	}
	now := contents(t, path)
	if !bytes.HasPrefix(now, was) {
		t.Fatalf("was\n%s\nis\n%s", was, now)
	}
	intact(t, now)
	return now
}

// A disk can be full at any byte, also while the last line is mended.
func TestEveryFullDisk(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() { limit(t, math.MaxInt) })
	dir := t.TempDir()
	for room, line := 0, 1; room < line; room++ {
		path := filepath.Join(dir, strconv.Itoa(room))
		l := begin(t, path)
		before := size(t, path)
		record(t, l, entry)
		line = size(t, path) - before
		before += line
		limit(t, before+room)
		if err := l.Append(entry); !errors.Is(err, syscall.EFBIG) || !errors.Is(l.Err(), syscall.EFBIG) {
			t.Fatalf("with room for %d bytes: %v, %v", room, err, l.Err())
		}
		if got := size(t, path) - before; got != room {
			t.Fatalf("%d bytes were written, not %d", got, room)
		}
		limit(t, before+room+room%200) // now the mending line does not fit
		if err := l.Append(entry); err == nil {
			t.Fatalf("with room for %d bytes more: no error", room%200)
		}
		limit(t, math.MaxInt)
		record(t, l, refused)
		if report := intact(t, contents(t, path)); l.Err() != nil || report.Refusals != 1 || report.Head != l.Head() {
			t.Fatalf("with room for %d bytes: error is %v, report is %+v", room, l.Err(), report)
		}
	}
}

// limit makes the kernel refuse what goes beyond size in any file.
func limit(t *testing.T, size int) {
	t.Helper()
	var limits syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limits); err != nil {
		t.Fatal(err)
	}
	limits.Cur = min(uint64(size), limits.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limits); err != nil {
		t.Fatal(err)
	}
}

func TestAppendAfterClose(t *testing.T) {
	l := begin(t, newPath(t))
	end(t, l)
	for range 2 {
		if err := l.Append(entry); !errors.Is(err, os.ErrClosed) || l.Err() == nil {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestHostileTexts(t *testing.T) {
	path := newPath(t)
	l := begin(t, path)
	for _, text := range []string{
		`","hash":"` + noHead + `"}`, "a\nb\r\x00\x1b[31m\u202e\u009b", "\xff\xfe\xed\xa0\x80", "\u2028é漢🔑", `\u0000\"`, "</script>&",
		strings.Repeat("<", 1<<20), strings.Repeat("\xff", 1000), strings.Repeat("漢", 1000), strings.Repeat("\x00", 1000),
	} {
		record(t, l, Entry{text, text, text, text, text, text, text, text})
	}
	content := contents(t, path)
	intact(t, content)
	for line := range bytes.Lines(content) {
		if len(line) > maxRecord || bytes.ContainsAny(line[:len(line)-1], "\n\r\x00\x1b<") || bytes.ContainsRune(line, '\u202e') {
			t.Errorf("%d bytes: %q", len(line), line)
		}
	}
	for text, want := range map[string]string{
		"short": "short", "12345678": "12345678", "123456789": "12345…", "12漢漢": "12漢漢", "1漢漢漢": "1漢…", "a\nb": "a�b", "\xff": "�",
	} {
		if got := clip(text, 8); got != want {
			t.Errorf("%q is cut to %q, want %q", text, got, want)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	l := begin(b, newPath(b))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Append(entry); err != nil {
			b.Fatal(err)
		}
	}
}
