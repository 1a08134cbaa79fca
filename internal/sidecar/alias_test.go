package sidecar

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skr/internal/config"
)

// TestAliasWays checks that entries in the same position of both lists are tried first.
func TestAliasWays(t *testing.T) {
	for text, want := range map[string][]string{
		`{"vault":"v1.vault.azure.net","key":"k","authority":"a1.attest.azure.net"}`:                           {"a1 v1"},
		`{"vaults":["v1.vault.azure.net"],"key":"k","authority":"a1.attest.azure.net"}`:                        {"a1 v1"},
		`{"vaults":["v1.vault.azure.net","v2.vault.azure.net"],"key":"k","authority":"a1.attest.azure.net"}`:   {"a1 v1", "a1 v2"},
		`{"vault":"v1.vault.azure.net","key":"k","authorities":["a1.attest.azure.net","a2.attest.azure.net"]}`: {"a1 v1", "a2 v1"},
		`{"vaults":["v1.vault.azure.net","v2.vault.azure.net"],"key":"k","authorities":["a1.attest.azure.net","a2.attest.azure.net"]}`: {
			"a1 v1", "a2 v2", "a1 v2", "a2 v1"},
	} {
		s, _, err := config.Load(nil, config.Environment{"SKR_KEYS": `{"orders":` + text + `}`})
		if err != nil {
			t.Fatal(err)
		}
		parts, err := Assemble(s, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, way := range parts.Aliases["orders"].Ways() {
			got = append(got, way.Authority.String()[:2]+" "+way.Key.Vault().String()[:2])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// TestAliasVersions checks the forms of versions, and that the allow-list must allow each.
func TestAliasVersions(t *testing.T) {
	const alias = `{"orders":{"vault":"v.vault.azure.net","authority":"a.attest.azure.net","key":"k%s"%s}}`
	for _, c := range []struct{ key, versions, allow, first, refused string }{
		{"", "", "", "", ""},
		{"/0123", "", "", "0123", ""},
		{"", `"latest"`, "", "", ""},
		{"/", `["4567","latest"]`, "", "4567", ""},
		{"", `["4567","0123"]`, "v.vault.azure.net/keys/k/0123,v.vault.azure.net/keys/k/4567", "4567", ""},
		{"", `["4567","0123"]`, "v.vault.azure.net/keys/k/4567", "", "vault_allow does not allow key"},
		{"", `"all"`, "v.vault.azure.net/keys/k/4567", "", "vault_allow does not allow key"},
		{"/0123", `["0123"]`, "", "", "1 to 64 letters and digits"},
		{"/0123", `"latest"`, "", "", "write the name of the key alone"},
		{"/0123", `"all"`, "", "", "write the name of the key alone"},
		{"", `["all","0123"]`, "", "", "write versions: all, or list them"},
		{"", `["0123","0123"]`, "", "", "twice"},
		{"", `"a/b"`, "", "", "is no version of a key"},
	} {
		text := c.versions
		if text != "" {
			text = `,"versions":` + text
		}
		env := config.Environment{"SKR_KEYS": fmt.Sprintf(alias, c.key, text)}
		if c.allow != "" {
			env["SKR_VAULT_ALLOW"] = c.allow
		}
		s, _, err := config.Load(nil, env)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := Assemble(s, nil, slog.New(slog.DiscardHandler))
		switch {
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%v: got %v, want %q", env, err, c.refused)
		case c.refused == "" && (err != nil || parts.Aliases["orders"].Key.Version() != c.first):
			t.Errorf("%v: %v, %+v", env, err, parts)
		}
	}
	for _, versions := range []string{`""`, `[]`, `null`, `1`, `[""]`, `{}`, `[1]`} {
		_, _, err := config.Load(nil, config.Environment{"SKR_KEYS": fmt.Sprintf(alias, "", `,"versions":`+versions)})
		if err == nil || !strings.Contains(err.Error(), "versions") {
			t.Errorf("versions %s: got %v", versions, err)
		}
	}
}
