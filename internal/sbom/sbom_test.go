package sbom

import (
	"bytes"
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

const zeros = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

func write(t *testing.T, deps ...*debug.Module) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Write(&out, &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Path: "skr"}, Deps: deps,
		Settings: []debug.BuildSetting{{Key: "GOARCH", Value: "amd64"}},
	}, "v1.2.0")
	return out.String(), err
}

func TestWrite(t *testing.T) {
	text, err := write(t,
		&debug.Module{Path: "github.com/Azure/sdk", Version: "v1.0.0+incompatible", Sum: zeros},
		&debug.Module{Path: "example.org/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/b", Version: "v2.0.0", Sum: zeros}},
		&debug.Module{Path: "example.org/local", Version: "v0.0.0", Replace: &debug.Module{Path: "../local"}})
	if err != nil {
		t.Fatal(err)
	}
	var got bom
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, c := range append([]component{got.Metadata.Component}, got.Components...) {
		urls = append(urls, c.PURL)
	}
	want := "pkg:golang/skr@v1.2.0 pkg:golang/stdlib@1.26.8 pkg:golang/github.com/azure/sdk@v1.0.0%2Bincompatible " +
		"pkg:golang/example.org/b@v2.0.0 pkg:golang/example.org/local@v0.0.0"
	if strings.Join(urls, " ") != want {
		t.Errorf("got %s\nwant %s", urls, want)
	}
	if h := got.Components[1].Hashes; len(h) != 1 || h[0].Content != strings.Repeat("0", 64) {
		t.Errorf("hashes %v, want 32 zeros", h)
	}
	if p := got.Metadata.Component.Properties; len(p) != 1 || p[0] != (property{"go:GOARCH", "amd64"}) {
		t.Errorf("properties %v, want those of the build", p)
	}
}

func TestSameProgramSameBill(t *testing.T) {
	first, err := write(t, &debug.Module{Path: "example.org/a", Version: "v1.0.0", Sum: zeros})
	second, again := write(t, &debug.Module{Path: "example.org/a", Version: "v1.0.0", Sum: zeros})
	if err != nil || again != nil || first != second {
		t.Errorf("two SBOMs of one program differ: %v, %v", err, again)
	}
}

func TestWriteRefusesHash(t *testing.T) {
	for _, sum := range []string{"h2:AAAA", "h1:AAAA", "h1:!", zeros + "AAAA"} {
		if _, err := write(t, &debug.Module{Path: "example.org/a", Version: "v1.0.0", Sum: sum}); err == nil || !strings.Contains(err.Error(), "example.org/a") {
			t.Errorf("%s: got %v, want an error that names the module", sum, err)
		}
	}
}
