package access

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	firstToken  = "first-token-0123456789"
	secondToken = "second-token-987654321"
)

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAuthorizationHeader(t *testing.T) {
	for name, tc := range map[string]struct{ header, want string }{
		"bearer":         {"Bearer abc", "abc"},
		"lower case":     {"bearer abc", "abc"},
		"more spaces":    {"BEARER   abc", "abc"},
		"all characters": {"Bearer aZ0-._~+/==", "aZ0-._~+/=="},
		"longest":        {"Bearer " + strings.Repeat("a", maxToken), strings.Repeat("a", maxToken)},
		"overlong":       {"Bearer " + strings.Repeat("a", maxToken+1), ""},
		"no token":       {"Bearer ", ""},
		"no space":       {"Bearer", ""},
		"basic":          {"Basic YTpi", ""},
		"token alone":    {"abc", ""},
		"space first":    {" Bearer abc", ""},
		"space after":    {"Bearer abc ", ""},
		"tab":            {"Bearer\tabc", ""},
		"two tokens":     {"Bearer abc, Bearer def", ""},
		"inner equals":   {"Bearer a=b", ""},
		"line end":       {"Bearer abc\n", ""},
		"not ASCII":      {"Bearer ábc", ""},
		"longer name":    {"Bearers abc", ""},
		"lookalike":      {"Bea\u0280er abc", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseBearer(tc.header)
			if ok != (tc.want != "") || ok && got != tc.want {
				t.Errorf("got %q, %v", got, ok)
			}
			if ok {
				return
			}
			p := newPolicy(t, Rule{Name: "user", UID: new(uint32(1000)), Routes: routes})
			_, err := p.Identify(peerContext(t, 1000, 1000), tc.header)
			wantRefusal(t, err, `the Authorization header must be "Bearer" and a token`)
		})
	}
}

func TestTokenFileForm(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		good    bool
	}{
		"plain":                   {firstToken, true},
		"white space around":      {"\n " + firstToken + "\r\n", true},
		"shortest":                {strings.Repeat("a", minToken), true},
		"too short":               {strings.Repeat("a", minToken-1) + "\n\n", false},
		"longest":                 {strings.Repeat("a", maxToken) + "\n", true},
		"too long":                {strings.Repeat("a", maxToken+1), false},
		"empty":                   {"", false},
		"two lines":               {firstToken + "\n" + secondToken, false},
		"not of the syntax":       {firstToken + "ä", false},
		"much white space":        {firstToken + strings.Repeat(" ", maxTokenFile), false},
		"text after equals signs": {"====" + firstToken, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			writeFile(t, path, tc.content)
			_, err := openToken(path)
			if tc.good != (err == nil) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), firstToken) {
				t.Errorf("the error contains the token: %v", err)
			}
		})
	}
}

// Only a regular file is read, and nothing blocks.
func TestTokenFileIsAFile(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, t.TempDir(), "/dev/zero"} {
		if _, err := openToken(path); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Kubernetes renews a secret like this: the file is behind a symbolic link to a directory,
// and the link is replaced.
func TestTokenRotation(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "..data", "token"), filepath.Join(dir, "..data")
	swap := func(name, content string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			writeFile(t, filepath.Join(dir, name, "token"), content)
		}
		if err := os.Symlink(name, link+"_tmp"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+"_tmp", link); err != nil {
			t.Fatal(err)
		}
	}
	swap("v1", firstToken)
	p := newPolicy(t, Rule{Name: "token", TokenFile: path, Routes: routes})
	want := func(token string, good bool) error {
		t.Helper()
		c, err := p.Identify(t.Context(), "Bearer "+token)
		if good != (err == nil) || good != (c.Rule() == "token") {
			t.Errorf("%s: got %v, %v; want %v", token, c, err, good)
		}
		return err
	}
	_ = want(firstToken, true)
	swap("v2", secondToken)
	_ = want(firstToken, false)
	_ = want(secondToken, true)
	swap("v3", "short")
	if err := want(secondToken, false); err == nil || !strings.Contains(err.Error(), `rule "token"`) {
		t.Errorf("the error does not name the bad file: %v", err)
	}
	_ = want("short", false)
	swap("v4", "")
	if err := want(secondToken, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error does not report the missing file: %v", err)
	}
	swap("v5", secondToken)
	_ = want(secondToken, true)
}

// An unchanged file is not read again.
func TestTokenIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	writeFile(t, path, firstToken)
	f, err := openToken(path)
	if err != nil {
		t.Fatal(err)
	}
	f.hash[0] ^= 1
	kept, _ := f.current()
	if kept != f.hash {
		t.Error("the file was read again")
	}
	writeFile(t, path, firstToken+"9")
	if renewed, err := f.current(); err != nil || renewed == kept {
		t.Errorf("the file was not read again: %v", err)
	}
}

func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  a==", "Basic YTpi", "", "Bearer ", "Bearer a b", "Bearer\x00a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		token, ok := parseBearer(header)
		if !ok {
			return
		}
		if token == "" || len(token) > maxToken || strings.ContainsAny(token, " \t\r\n,;\"") || !strings.HasSuffix(header, " "+token) {
			t.Errorf("%q gave %q", header, token)
		}
		if again, ok := parseBearer("Bearer " + token); !ok || again != token {
			t.Errorf("%q gave %q", token, again)
		}
	})
}

func BenchmarkIdentifyToken(b *testing.B) {
	path := filepath.Join(b.TempDir(), "token")
	if err := os.WriteFile(path, []byte(firstToken), 0o600); err != nil {
		b.Fatal(err)
	}
	p, err := New(Config{Rules: []Rule{{Name: "token", TokenFile: path, Routes: routes}}, Routes: routes})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Identify(b.Context(), "Bearer "+firstToken); err != nil {
			b.Fatal(err)
		}
	}
}
