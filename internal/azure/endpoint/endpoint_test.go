package endpoint

import (
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	good := map[string]string{
		"sharedeus.eus.attest.azure.net":   "sharedeus.eus.attest.azure.net",
		"https://v.vault.azure.net":        "v.vault.azure.net",
		"https://v.vault.azure.net/":       "v.vault.azure.net",
		"https://v.vault.azure.net:443/":   "v.vault.azure.net",
		"v.vault.azure.net/":               "v.vault.azure.net",
		"v.vault.azure.net:443":            "v.vault.azure.net",
		"v.vault.azure.net:443/":           "v.vault.azure.net",
		"V.Vault.Azure.NET":                "v.vault.azure.net",
		"HTTPS://V.vault.azure.net/":       "v.vault.azure.net",
		"demo.vault.localhost:8443/":       "demo.vault.localhost:8443",
		"demo.vault.localhost:8443":        "demo.vault.localhost:8443",
		"localhost":                        "localhost",
		strings.Repeat("a", 63) + ".b":     strings.Repeat("a", 63) + ".b",
		"https://demo.vault.localhost:99/": "demo.vault.localhost:99",
	}
	for text, want := range good {
		host, err := ParseHost(text)
		if err != nil || host.String() != want {
			t.Errorf("ParseHost(%q) = %q, %v; want %q", text, host, err, want)
		}
	}
}

func TestParseHostRefuses(t *testing.T) {
	bad := []string{
		"", "https://", "http://v.vault.azure.net", "https://https://v.vault.azure.net", "HTTP://v.vault.azure.net", "/", "//", "https:///", "/v.vault.azure.net",
		"\u212aey.vault.azure.net", "v.vault.azure.net//", "v.vault.azure.net:443//",
		"user@v.vault.azure.net", "evil.example#.vault.azure.net", "evil.example/.vault.azure.net",
		"evil.example\\.vault.azure.net", "evil.example?.vault.azure.net",
		"https://v.vault.azure.net//", "https://v.vault.azure.net/keys", "v.vault.azure.net.",
		".vault.azure.net", "v..azure.net", "v.vault.azure.net:", "v.vault.azure.net:0",
		"v.vault.azure.net:0443", "v.vault.azure.net:65536", "v.vault.azure.net:+80", "v:1:2", "127.0.0.1",
		"127.0.0.1:80", "[::1]", "::1", "vаult.azure.net", "xn--vult-83d.azure.net", "-v.azure.net", "v-.azure.net",
		"v_v.azure.net", "v.azure.net\n", "v .azure.net", "%76.azure.net", "*.vault.azure.net", "v.azure.net\x00",
		strings.Repeat("a", 64) + ".net", strings.Repeat("a.", 130) + "net",
	}
	for _, text := range bad {
		if host, err := ParseHost(text); err == nil {
			t.Errorf("ParseHost(%q) = %q, want an error", text, host)
		}
	}
}

func TestPatternMatches(t *testing.T) {
	cases := []struct {
		pattern, host string
		want          bool
	}{
		{"*.vault.azure.net", "v.vault.azure.net", true},
		{"*.attest.azure.net", "sharedeus.eus.attest.azure.net", true},
		{"*.vault.azure.net", "vault.azure.net", false},
		{"*.vault.azure.net", "evilvault.azure.net", false},
		{"*.vault.azure.net", "v.vault.azure.net.evil.example", false},
		{"*.vault.azure.net", "v.vault.azure.net:8443", false},
		{"*.vault.localhost:8443", "v.vault.localhost:8443", true},
		{"*.vault.localhost:8443", "v.vault.localhost", false},
		{"mine.vault.azure.net", "mine.vault.azure.net", true},
		{"mine.vault.azure.net", "x.mine.vault.azure.net", false},
	}
	for _, c := range cases {
		pattern, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		host, err := ParseHost(c.host)
		if err != nil {
			t.Fatal(err)
		}
		if got := pattern.Matches(host); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.host, got, c.want)
		}
	}
}

func TestPatternParent(t *testing.T) {
	for text, want := range map[string]string{
		"*.vault.azure.net":      "vault.azure.net",
		"mine.vault.azure.net":   "vault.azure.net",
		"*.vault.localhost:8443": "vault.localhost:8443",
	} {
		pattern, err := ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := pattern.Parent().String(); got != want {
			t.Errorf("parent of %q is %q, want %q", text, got, want)
		}
	}
}

func TestParsePatternRefuses(t *testing.T) {
	for _, text := range []string{"", "*", "*.", "*.net", "*v.azure.net", "v.*.azure.net", "*.*.azure.net", "https://v.azure.net", "*.v.net/keys"} {
		if p, err := ParsePattern(text); err == nil {
			t.Errorf("ParsePattern(%q) = %q, want an error", text, p)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	for _, seed := range []string{"v.vault.azure.net", "https://v:1/", "a@b", "[::1]:2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, err := ParseHost(text)
		if err != nil {
			return
		}
		again, err := ParseHost(host.URL())
		if err != nil || again != host {
			t.Fatalf("%q parsed to %q, which parses to %q, %v", text, host, again, err)
		}
	})
}
