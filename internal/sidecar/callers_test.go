package sidecar

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"skr/internal/config"
)

// Forbidden values are refused at the start, not at the first request.
func TestBadCallers(t *testing.T) {
	const key = `{"a":{"vault":"contoso.vault.azure.net","key":"k","authority":"sharedeus.eus.attest.azure.net"}}`
	for _, c := range []struct{ name, keys, access, want string }{
		{"vault not allowed", `{"a":{"vault":"evil.example","key":"k","authority":"sharedeus.eus.attest.azure.net"}}`, "", "vault_allow"},
		{"authority not allowed", `{"a":{"vault":"contoso.vault.azure.net","key":"k","authority":"evil.example"}}`, "", "maa_allow"},
		{"no key", `{"a":{"vault":"contoso.vault.azure.net","authority":"sharedeus.eus.attest.azure.net"}}`, "", "kid"},
		{"fallback vault not allowed",
			`{"a":{"vaults":["contoso.vault.azure.net","evil.example"],"key":"k","authority":"sharedeus.eus.attest.azure.net"}}`, "", "vault_allow"},
		{"fallback authority not allowed",
			`{"a":{"vault":"contoso.vault.azure.net","key":"k","authorities":["sharedeus.eus.attest.azure.net","evil.example"]}}`, "", "maa_allow"},
		{"one and several",
			`{"a":{"vault":"a.vault.azure.net","vaults":["b.vault.azure.net"],"key":"k","authority":"sharedeus.eus.attest.azure.net"}}`, "", "use one"},
		{"too many", `{"a":{"vaults":["a.vault.azure.net","b.vault.azure.net","c.vault.azure.net","d.vault.azure.net","e.vault.azure.net"],` +
			`"key":"k","authority":"sharedeus.eus.attest.azure.net"}}`, "", "1 to 4"},
		{"listed twice", `{"a":{"vaults":["a.vault.azure.net","a.vault.azure.net"],"key":"k","authority":"sharedeus.eus.attest.azure.net"}}`, "", "twice"},
		{"bad alias", `{"a b":{"key":"k"}}`, "", "letters"},
		{"unknown alias", key, `[{"name":"x","uid":1,"routes":["*"],"keys":["b"]}]`, `"b"`},
		{"unknown route", key, `[{"name":"x","uid":1,"routes":["/nowhere"]}]`, "/nowhere"},
		{"rule without a caller", key, `[{"name":"x","routes":["*"]}]`, "uid, gid, token_file"},
		{"no token file", key, `[{"name":"x","token_file":"/nonexistent/token","routes":["*"]}]`, "token_file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := config.Environment{"SKR_KEYS": c.keys, "SKR_ACCESS": c.access}
			if c.access == "" {
				delete(env, "SKR_ACCESS")
			}
			s, _, err := config.Load(nil, env)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Assemble(s, nil, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.want) || !isSetting(err) {
				t.Errorf("got %v, want a configuration error with %q", err, c.want)
			}
		})
	}
}

// isSetting reports whether err concerns a setting.
func isSetting(err error) bool {
	_, ok := errors.AsType[*config.SettingError](err)
	return ok
}
