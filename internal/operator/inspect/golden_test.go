package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"skr/test/samples"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenNow is the time of all golden files.
var goldenNow = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Specimens match their golden files, which are reviewed by hand.
func TestGolden(t *testing.T) {
	for _, s := range specimens(t) {
		t.Run(s.name, func(t *testing.T) {
			found, err := Recognise(s.data)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, filepath.Join("testdata", "golden", s.name+".txt"), textFor(t, found, goldenNow))
		})
	}
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-golden +got):\n%s", path, diff)
	}
}

// sampleRecord holds what the project may store about a sample: only hashes and names, none
// of its content.
type sampleRecord struct {
	Kind   Kind     `json:"kind,omitempty"`
	Error  string   `json:"error,omitempty"`
	Fields []string `json:"fields,omitempty"`
	SHA256 string   `json:"sha256,omitempty"` // of text and JSON
}

// All samples of real data are recognised or refused as listed.
func TestSamplesGolden(t *testing.T) {
	const path = "testdata/samples.json"
	root := samples.Path(t)
	got, shown := map[string]sampleRecord{}, map[string]string{}
	for _, file := range sampleFiles(t, root) {
		got[file], shown[file] = record(t, samples.Read(t, file))
	}
	if *update {
		if err := os.WriteFile(path, append(indented(t, got), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]sampleRecord{}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for file, record := range got {
		if diff := cmp.Diff(want[file], record); diff != "" {
			t.Errorf("%s (-golden +got):\n%s\nIt is shown as:\n%s", file, diff, shown[file])
		}
	}
	if len(want) != len(got) {
		t.Errorf("%d samples, the golden file has %d", len(got), len(want))
	}
}

// sampleFiles returns all files except the index and documents.
func sampleFiles(t *testing.T, root string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".md") {
			return err
		}
		name, err := filepath.Rel(root, path)
		files = append(files, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

func record(t *testing.T, data []byte) (sampleRecord, string) {
	t.Helper()
	found, err := Recognise(data)
	if err != nil {
		return sampleRecord{Error: err.Error()}, ""
	}
	text := textFor(t, found, goldenNow)
	sum := sha256.Sum256([]byte(text))
	r := sampleRecord{Kind: found.Kind(), SHA256: hex.EncodeToString(sum[:])}
	for _, s := range found.Show(goldenNow).Sections {
		names := make([]string, len(s.Fields))
		for i, f := range s.Fields {
			names[i] = f.Name
		}
		r.Fields = append(r.Fields, strings.Join(names, ", "))
	}
	return r, text
}

func indented(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}
