package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const callersYAML = `
keys:
  orders: {vault: contoso.vault.azure.net, key: orders, authority: sharedeus.eus.attest.azure.net}
access:
- name: orders-app
  uid: 1000
  routes: [/key/release]
  keys: [orders]
`

// A section means the same in the file, in a variable and on the command line. The output of
// `skr config` is valid input.
func TestSections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "skr.yaml")
	if err := os.WriteFile(path, []byte(callersYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	s, all, err := Load(nil, Environment{"SKR_CONFIG": path})
	if err != nil {
		t.Fatal(err)
	}
	checkSections(t, s)
	printed, err := yaml.Marshal(FieldsOf(all))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, printed, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, _, err = Load(nil, Environment{"SKR_CONFIG": path}); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	checkSections(t, s)
	s, _, err = Load(nil, Environment{
		"SKR_KEYS":   `{"orders":{"vault":"contoso.vault.azure.net","key":"orders","authority":"sharedeus.eus.attest.azure.net"}}`,
		"SKR_ACCESS": `[{"name":"orders-app","uid":1000,"routes":["/key/release"],"keys":["orders"]}]`,
	})
	if err != nil {
		t.Fatal(err)
	}
	checkSections(t, s)
}

func checkSections(t *testing.T, s *Settings) {
	t.Helper()
	rules := s.Access.Value
	if len(rules) != 1 || rules[0].Name != "orders-app" || rules[0].UID == nil || *rules[0].UID != 1000 || len(rules[0].Keys) != 1 {
		t.Errorf("access is %+v", rules)
	}
	want := Alias{Vault: "contoso.vault.azure.net", Key: "orders", Authority: "sharedeus.eus.attest.azure.net"}
	if diff := cmp.Diff(want, s.Keys.Value["orders"]); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestBadSections(t *testing.T) {
	for _, c := range []struct{ name, variable, text, want string }{
		{"unknown member", "SKR_ACCESS", `[{"name":"a","user":1}]`, "user"},
		{"misspelt member", "SKR_KEYS", `{"a":{"vautl":"x"}}`, "vautl"},
		{"not a list", "SKR_ACCESS", `{"name":"a"}`, "SKR_ACCESS"},
		{"member twice", "SKR_KEYS", "{\"a\":{\"vault\":\"x\",\"vault\":\"y\"}}", "duplicated"},
		{"capitals twice", "SKR_ACCESS", `[{"name":"a","uid":1000,"UID":0,"routes":["/key/release"]}]`, "differ in case only"},
		{"other capitals", "SKR_ACCESS", `[{"name":"a","uid":1000,"Routes":["*"]}]`, `must be written "routes"`},
		{"merged", "SKR_ACCESS", "- name: a\n  <<: {routes: ['*']}", "merge keys"},
		{"anchor", "SKR_ACCESS", "[{name: &a x, uid: 1, routes: ['*']}]", "anchors"},
		{"two documents", "SKR_ACCESS", "- {name: a, uid: 1, routes: ['*']}\n---\n- {}", "second document"},
		{"uid without a value", "SKR_ACCESS", `[{"name":"a","uid":null,"gid":7,"routes":["*"]}]`, `"uid" is present and empty`},
		{"token without a file", "SKR_ACCESS", `[{"name":"a","uid":7,"token_file":"","routes":["*"]}]`, `"token_file" is present and empty`},
		{"octal uid", "SKR_ACCESS", "[{name: a, uid: 01750, routes: ['*']}]", "decimal"},
		{"alias in two capitals", "SKR_KEYS", `{"a":{"vault":"x"},"A":{"vault":"y"}}`, "differ in case only"},
		{"empty list", "SKR_KEYS", `{"a":{"vaults":[],"key":"k"}}`, `"vaults" is present and empty`},
		{"negative uid", "SKR_ACCESS", `[{"name":"a","uid":-1}]`, "uid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Load(nil, Environment{c.variable: c.text})
			if err == nil || !strings.Contains(err.Error(), c.want) || !isSetting(err) {
				t.Errorf("got %v, want a configuration error with %q", err, c.want)
			}
		})
	}
}
