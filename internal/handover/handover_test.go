package handover

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"skr/hsm"
	"skr/internal/secretfile"
)

// keys has one symmetric key for every alias.
type keys struct{ raw []byte }

func (k keys) Name(string) string { return "k" }

func (k keys) Key(context.Context, string, string) (*hsm.Key, error) {
	return hsm.ReadKey(fmt.Appendf(nil, `{"kty":"oct","k":%q}`, base64.RawURLEncoding.EncodeToString(k.raw)))
}

func newKeys() keys {
	k := keys{make([]byte, 32)}
	_, _ = rand.Read(k.raw)
	return k
}

func parse(t *testing.T, kind Kind, text string) Item {
	t.Helper()
	item, err := Parse(kind, text)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// self is the owner of the files of this process, so that the test needs no privileges.
func self() string { return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()) }

// The secrets are in the environment until Close, which overwrites them, and in memory that no
// process can change.
func TestDelivery(t *testing.T) {
	owner, err := secretfile.ParseOwner(self())
	if err != nil {
		t.Fatal(err)
	}
	dir, source := t.TempDir(), newKeys()
	file := filepath.Join(dir, "key")
	h, err := New(Config{Keys: source, Owner: owner, AllowDisk: true, Items: []Item{
		parse(t, Variable, "K=a:jwk"), parse(t, Memory, "M=a:raw"), parse(t, File, file+"=a:raw"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := h.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the file is there before WriteFiles")
	}
	if err := d.WriteFiles(); err != nil {
		t.Fatal(err)
	}
	env, err := d.Environment(map[string]string{"K": "old", "M": "old", "PATH": "/bin"})
	if err != nil {
		t.Fatal(err)
	}
	if len(env) != 3 || !strings.HasPrefix(env[0], `K={"kty":"oct"`) || !slices.Equal(env[1:], []string{"M=/proc/self/fd/3", "PATH=/bin"}) {
		t.Errorf("the environment is %q", env)
	}
	memory := fmt.Sprintf("/proc/self/fd/%d", d.Memory()[0].Fd())
	for _, path := range []string{memory, file} {
		content, err := os.ReadFile(path)
		if err != nil || !slices.Equal(content, source.raw) {
			t.Errorf("%s differs from the key: %v", path, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != onlyOwner {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if _, err := d.Memory()[0].WriteAt([]byte("x"), 0); err == nil {
		t.Error("the memory can be changed")
	}
	if d.Close(); strings.Trim(env[0], "\x00") != "" {
		t.Error("the variable was not overwritten")
	}
	if err := h.Remove(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// A file that was there before stays if nothing was written, such as after a refusal.
func TestRemoveForeignFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("of another program"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := New(Config{Keys: newKeys(), AllowDisk: true, Items: []Item{parse(t, File, file+"=a:raw")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// What a variable cannot hold is refused: it would be cut at the zero, or nothing would start.
func TestFitsVariable(t *testing.T) {
	for _, c := range []struct {
		text string
		fits bool
	}{
		{"text", true}, {"with\x00zero", false}, {strings.Repeat("a", maxVariable-len("K=")-1), true}, {strings.Repeat("a", maxVariable-len("K=")), false},
	} {
		if err := fitsVariable("K", []byte(c.text)); (err == nil) != c.fits {
			t.Errorf("%d bytes: %v", len(c.text), err)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
		want Item
	}{
		{Variable, "K=a:pem", Item{Variable, "K", "a", "pem", ""}},
		{Variable, "K=:ssh", Item{Variable, "K", "", "ssh", ""}},
		{Memory, "K_1=a.b-c:raw", Item{Memory, "K_1", "a.b-c", "raw", ""}},
		{File, "/run/x y.pem=a:pkcs8", Item{File, "/run/x y.pem", "a", "pkcs8", ""}},
		{Variable, "K=a:envelope:/etc/a=b:c", Item{Variable, "K", "a", "", "/etc/a=b:c"}},
	} {
		if got, err := Parse(c.kind, c.text); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
	for _, text := range []string{
		"", "K", "K=", "K=a", "=a:pem", "K=a:", "K=a:PEM", "K=a:envelope", "K=a:envelope:", "1K=a:pem", "K K=a:pem", "K=a:raw", "K=a:der",
	} {
		if got, err := Parse(Variable, text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

// One path by two names, or one name twice, is a mistake.
func TestTwins(t *testing.T) {
	dir := t.TempDir()
	for _, items := range [][]Item{
		{parse(t, Variable, "K=a:pem"), parse(t, Memory, "K=a:raw")},
		{parse(t, File, dir+"/k=a:pem"), parse(t, File, dir+"/./k=a:raw")},
	} {
		if _, err := New(Config{Items: items, AllowDisk: true}); err == nil || !strings.Contains(err.Error(), "named twice") {
			t.Errorf("%v: %v", items, err)
		}
	}
}
