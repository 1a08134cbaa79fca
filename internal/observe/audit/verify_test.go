package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// sample returns a file with each kind of record, and its head.
func sample(t testing.TB) ([]byte, string) {
	t.Helper()
	path := newPath(t)
	l := begin(t, path)
	record(t, l, entry, refused)
	end(t, l)
	text := contents(t, path)
	put(t, path, append(text, text[:100]...))
	l = begin(t, path)
	record(t, l, refused)
	end(t, l)
	return contents(t, path), l.Head()
}

func broken(t *testing.T, text []byte, kept string) (*BrokenError, bool) {
	t.Helper()
	_, err := Verify(bytes.NewReader(text), kept)
	return errors.AsType[*BrokenError](err)
}

func TestReport(t *testing.T) {
	text, head := sample(t)
	report, err := Verify(bytes.NewReader(text), head)
	if err != nil {
		t.Fatal(err)
	}
	if report.Records != 5 || report.Releases != 1 || report.Refusals != 2 || report.Chains != 1 || report.Torn != 1 || report.Head != head {
		t.Errorf("report is %+v", report)
	}
	if report.First.IsZero() || report.Last.Before(report.First) {
		t.Errorf("from %v to %v", report.First, report.Last)
	}
}

func TestEveryByteMatters(t *testing.T) {
	text, _ := sample(t)
	for at := range text {
		was := text[at]
		for _, is := range []byte{was ^ 1<<(at%8), was ^ 0x20, '\n'} {
			if text[at] = is; is == was {
				continue
			}
			if _, ok := broken(t, text, ""); !ok {
				t.Fatalf("the change of byte %d from %q to %q was not detected", at, was, is)
			}
		}
		text[at] = was
	}
	intact(t, text)
}

func TestEveryByteIsNeeded(t *testing.T) {
	text, head := sample(t)
	for at := range text {
		if _, ok := broken(t, slices.Delete(bytes.Clone(text), at, at+1), ""); !ok {
			t.Fatalf("the removal of byte %d was not detected", at)
		}
		if _, ok := broken(t, text[:at], head); !ok {
			t.Fatalf("the cut at byte %d was not detected", at)
		}
		if _, ok := broken(t, slices.Insert(bytes.Clone(text), at, "\n 0"[at%3]), ""); !ok {
			t.Fatalf("the byte inserted before byte %d was not detected", at)
		}
	}
}

func TestEveryLineMatters(t *testing.T) {
	text, head := sample(t)
	other, _ := sample(t)
	lines, others := slices.Collect(bytes.Lines(text)), slices.Collect(bytes.Lines(other))
	edits := map[string][][]byte{}
	for i := range lines {
		edits[fmt.Sprintf("line %d removed", i+1)] = slices.Delete(slices.Clone(lines), i, i+1)
		edits[fmt.Sprintf("line %d repeated", i+1)] = slices.Insert(slices.Clone(lines), i, lines[i])
		edits[fmt.Sprintf("line %d exchanged", i+1)] = slices.Replace(slices.Clone(lines), i, i+1, others[i])
		edits[fmt.Sprintf("line %d and all before removed", i+1)] = lines[i+1:]
		edits[fmt.Sprintf("all lines after %d exchanged", i+1)] = slices.Concat(lines[:i+1], others[i+1:])
		for k := range i {
			swapped := slices.Clone(lines)
			swapped[i], swapped[k] = swapped[k], swapped[i]
			edits[fmt.Sprintf("lines %d and %d swapped", k+1, i+1)] = swapped
			edits[fmt.Sprintf("line %d inserted before line %d", k+1, i+1)] = slices.Insert(slices.Clone(lines), i, lines[k])
		}
		for _, foreign := range []string{"\n", "x\n", "{\n", "{}\n", `{"seq":` + "\n", `{"msg":"audit"}` + "\n"} {
			edits[fmt.Sprintf("%q inserted before line %d", foreign, i+1)] = slices.Insert(slices.Clone(lines), i, []byte(foreign))
		}
	}
	for name, edit := range edits {
		same := slices.Equal(slices.Concat(edit...), text) // the torn line is the same in both
		if _, ok := broken(t, slices.Concat(edit...), head); !ok && !same {
			t.Errorf("%s: not detected", name)
		}
	}
}

func TestReasons(t *testing.T) {
	text, head := sample(t)
	lines := slices.Collect(bytes.Lines(text))
	join := func(lines ...[]byte) string { return string(slices.Concat(lines...)) }
	change := func(line int, from, to string) string {
		edit := slices.Clone(lines)
		edit[line-1] = bytes.Replace(edit[line-1], []byte(from), []byte(to), 1)
		return join(edit...)
	}
	for name, c := range map[string]struct{ text, kept, want string }{
		"empty":                  {"", "", "has no audit record"},
		"no audit file":          {"root:x:0:0\n", "", "has no audit record"},
		"end cut off":            {join(lines[:2]...), head, "has no record with the expected hash"},
		"changed":                {change(2, `"released","prev"`, `"releasee","prev"`), "", "line 2: was modified"},
		"hash in capitals":       {change(2, `,"hash":"`, `,"hash":"A`), "", "line 2: is not a complete record"},
		"removed":                {join(lines[0], lines[2]), "", "line 2: has seq 3 instead of 2"},
		"first removed":          {join(lines[1:]...), "", "line 1: has seq 2 instead of 1"},
		"repeated":               {join(lines[0], lines[1], lines[1]), "", "line 3: has seq 2 instead of 3"},
		"torn line removed":      {join(lines[0], lines[1], lines[2], lines[4]), "", "line 4: describes a torn line that does not exist"},
		"torn line changed":      {change(4, "opened", "opener"), "", "line 4: is not a complete record"},
		"not mended":             {join(lines[0], lines[3][:50]), "", "line 2: is not complete"},
		"not mended, ended":      {join(lines[0], lines[3]), "", "line 2: is not a complete record"},
		"newline gone":           {strings.TrimSuffix(join(lines[:2]...), "\n"), "", "line 2: is not complete"},
		"foreign line":           {join(lines[0], []byte("x\n")), "", "line 2: is not a record"},
		"foreign line first":     {"x\n" + join(lines...), "", "line 2: has a record in a form that skr does not write"},
		"a very long line":       {join(lines[0]) + strings.Repeat("x", maxLine), "", "line 2: is longer than 65536 bytes"},
		"many fragments":         {join(lines[0]) + strings.Repeat("\n", maxTorn+1), "", "line 2: is not a complete record"},
		"as a log, reformatted":  {`{"msg":"audit","audit":` + strings.TrimSpace(join(lines[0])) + "}\n", "", "line 1: has a record in a form that skr does not write"},
		"as a log, torn":         {`{"time":"","level":"INFO","msg":"audit","audit":{"seq":1,"time":"}}` + "\n", "", "line 1: is not a complete record"},
		"as a log, torn at end":  {`{"time":"","level":"INFO","msg":"audit","aud`, "", "line 1: is not complete"},
		"as a log, not complete": {"x\n" + `{"time":"","level":"INFO","msg":"audit","aud`, "", "line 2: has a record in a form that skr does not write"},
	} {
		if err, ok := broken(t, []byte(c.text), c.kept); !ok || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// An attacker who can compute hashes still cannot write a record that skr would not write.
func TestOneWayToWriteARecord(t *testing.T) {
	text, _ := sample(t)
	lines := slices.Collect(bytes.Lines(text))
	two := string(lines[0]) + string(lines[1])
	if signed := resign([]byte(two)); string(signed) != two {
		t.Fatalf("signing again gives\n%s", signed)
	}
	for name, c := range map[string][2]string{
		"unknown member": {`"released","prev"`, `"released","more":1,"prev"`},
		"member twice":   {`"caller":`, `"caller":"x","caller":`},
		"other capitals": {`"caller":`, `"Caller":`},
		"member missing": {`"result":"released",`, ``},
		"other order": {`"authority":"sharedneu.neu.attest.azure.net","policy_sha256":"` + entry.PolicySHA256 + `"`,
			`"policy_sha256":"` + entry.PolicySHA256 + `","authority":"sharedneu.neu.attest.azure.net"`},
		"white space":             {`"caller":`, `"caller": `},
		"escaped":                 {`kafka`, `k\u0061fka`},
		"null":                    {`"result":"released"`, `"result":null`},
		"number as string":        {`{"seq":2`, `{"seq":"2"`},
		"number in another form":  {`{"seq":2`, `{"seq":2.0`},
		"other zone":              {`Z","kind":"release"`, `+00:00","kind":"release"`},
		"no time":                 {`"time":"20`, `"time":"xx`},
		"unknown kind":            {`"kind":"release"`, `"kind":"other"`},
		"members of another kind": {`"kind":"release"`, `"kind":"opened"`},
		"version in a release":    {`"kind":"release"`, `"kind":"release","version":"v"`},
		"torn in a release":       {`"kind":"release"`, `"kind":"release","torn_bytes":0,"torn_sha256":""`},
		"recovered, not torn":     {`"kind":"opened"`, `"kind":"recovered"`},
		"data after the value":    {`"result":"released"`, `"result":"released"} {"x":"y"`},
		"invalid UTF-8":           {`kafka`, "k\xffka"},
	} {
		edit := strings.Replace(two, c[0], c[1], 1)
		if edit == two {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, ok := broken(t, resign([]byte(edit)), ""); !ok {
			t.Errorf("%s: accepted", name)
		}
	}
	release := strings.Replace(string(lines[1]), `{"seq":2`, `{"seq":1`, 1)
	if err, ok := broken(t, resign([]byte(release)), ""); !ok || !strings.Contains(err.Error(), "not of kind opened or recovered") {
		t.Errorf("a release comes first: %v", err)
	}
}

func TestClockSetBack(t *testing.T) {
	text, _ := sample(t)
	first, _, _ := bytes.Cut(text, []byte("\n"))
	second := bytes.Replace(bytes.Replace(first, []byte(`{"seq":1`), []byte(`{"seq":2`), 1), []byte(`"time":"2`), []byte(`"time":"1`), 1)
	if report := intact(t, resign(slices.Concat(first, []byte("\n"), second, []byte("\n")))); report.SetBack != 1 {
		t.Errorf("report is %+v", report)
	}
}

// resign gives each line the correct prev and hash.
func resign(text []byte) []byte {
	var out []byte
	prev := noHead
	for line := range bytes.Lines(text) {
		at := bytes.LastIndex(line, []byte(`,"prev":"`))
		if at < 0 || !bytes.HasSuffix(line, []byte("\n")) {
			out = append(out, line...)
			continue
		}
		body := fmt.Appendf(bytes.Clone(line[:at]), `,"prev":"%s"}`, prev)
		prev = hash(body)
		out = append(out, body[:len(body)-1]...)
		out = fmt.Appendf(out, `,"hash":"%s"}`+"\n", prev)
	}
	return out
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func TestReadErrorIsNotBroken(t *testing.T) {
	text, _ := sample(t)
	_, err := Verify(io.MultiReader(bytes.NewReader(text), failingReader{}), "")
	if _, ok := errors.AsType[*BrokenError](err); ok || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

// An accepted record is exactly what would be written, so that other readers cannot read it
// differently.
func FuzzVerify(f *testing.F) {
	text, _ := sample(f)
	f.Add(text)
	f.Add(text[:500])
	f.Add([]byte("\n{\n"))
	f.Add([]byte(`{"time":"","level":"INFO","msg":"audit","audit":` + string(text[:bytes.IndexByte(text, '\n')]) + "}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, text := range [][]byte{text, resign(text)} {
			report, err := Verify(bytes.NewReader(text), "")
			if err != nil || text[0] != '{' || bytes.Contains(text, []byte(`"msg":"audit"`)) {
				continue
			}
			records := 0
			for line := range bytes.Lines(text) {
				var r Record
				if json.Unmarshal(line, &r) != nil {
					continue // torn
				}
				again, err := r.encode()
				if err != nil || !bytes.Equal(again, line) {
					t.Fatalf("%q is written as %q", line, again)
				}
				records++
			}
			if records < report.Records {
				t.Fatalf("%d records instead of %d", records, report.Records)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	path := newPath(b)
	l := begin(b, path)
	for range 1000 {
		record(b, l, entry)
	}
	text := contents(b, path)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Verify(bytes.NewReader(text), ""); err != nil {
			b.Fatal(err)
		}
	}
}
