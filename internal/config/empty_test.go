package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// fileWith returns the path of a configuration file with that text.
func fileWith(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "skr.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// isSetting reports whether err concerns a setting.
func isSetting(err error) bool {
	_, ok := errors.AsType[*SettingError](err)
	return ok
}

func wantEmpty(t *testing.T, err error, name string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), name) || !isSetting(err) {
		t.Errorf("got %v, want a configuration error that names %s", err, name)
	}
}

// A missing value does not remove a setting's restriction: in a variable, a file or a flag,
// a name without a value is an error.
func TestNoSettingIsEmpty(t *testing.T) {
	var flags []*pflag.Flag
	new(Settings).Flags().VisitAll(func(flag *pflag.Flag) { flags = append(flags, flag) })
	for _, flag := range flags {
		t.Run(flag.Name, func(t *testing.T) {
			if mayBeEmpty(flag.Name) {
				env := Environment{envName(flag.Name): "", "SKR_LISTEN": "", "SKR_GRPC_LISTEN": "localhost:50000"}
				if _, _, err := Load(nil, env); err != nil && flag.Name != "grpc-listen" {
					t.Errorf("a listener cannot be turned off: %v", err)
				}
				return
			}
			for _, text := range []string{"", " ", ",", "null"} {
				if text == "null" && flag.Value.Type() == "string" {
					continue // a name similar to another
				}
				_, _, err := Load(nil, Environment{envName(flag.Name): text})
				wantEmpty(t, err, envName(flag.Name))
			}
			for _, text := range []string{"", "null", "~", "''", "[]", "{}"} {
				_, _, err := Load(nil, Environment{"SKR_CONFIG": fileWith(t, FieldName(flag.Name)+": "+text+"\n")})
				wantEmpty(t, err, FieldName(flag.Name))
			}
			given := new(Settings).Flags()
			if err := given.Parse([]string{"--" + flag.Name + "="}); err != nil {
				return // pflag refuses it
			}
			if _, _, err := Load(given, Environment{}); err == nil || !strings.Contains(err.Error(), flag.Name) {
				t.Errorf("--%s= is accepted: %v", flag.Name, err)
			}
		})
	}
}

// A file that is named but empty is not a configuration.
func TestNoConfigurationIsEmpty(t *testing.T) {
	for _, env := range []Environment{
		{"SKR_CONFIG": ""},
		{"SKR_CONFIG": fileWith(t, "")},
		{"SKR_CONFIG": fileWith(t, "# access: …\n")},
		{"SKR_CONFIG": fileWith(t, "null\n")},
		{"SKR_CONFIG": fileWith(t, "listen: localhost:1\n---\naccess: none\n")},
	} {
		_, _, err := Load(nil, env)
		wantEmpty(t, err, "configuration")
	}
}

// An empty value does not remove a file's rules. An explicit value does.
func TestAccessNone(t *testing.T) {
	file := fileWith(t, callersYAML)
	for _, text := range []string{"", "[]", "null", "{}", "[ ]"} {
		_, _, err := Load(nil, Environment{"SKR_CONFIG": file, "SKR_ACCESS": text})
		wantEmpty(t, err, "SKR_ACCESS")
	}
	s, _, err := Load(nil, Environment{"SKR_CONFIG": file, "SKR_ACCESS": None})
	if err != nil || s.Access.Value != nil || len(s.Keys.Value) != 1 {
		t.Errorf("access is %v, keys %v, error %v", s.Access.Value, s.Keys.Value, err)
	}
}
