package config

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Unvalued returns the fields without a value. FieldsOf leaves them out, because --config refuses empty
// values.
func Unvalued(all *pflag.FlagSet) (names []string) {
	all.VisitAll(func(flag *pflag.Flag) {
		if flag.Value.String() == "" && !hasForm(flag) {
			names = append(names, FieldName(flag.Name))
		}
	})
	return names
}

// hasForm reports whether the field is printed even if it is empty.
func hasForm(flag *pflag.Flag) bool {
	_, section := flag.Value.(sectioned)
	return section || mayBeEmpty(flag.Name)
}

// FieldsOf returns the configuration by YAML names. No field holds a secret: tokens come from files and
// requests.
func FieldsOf(all *pflag.FlagSet) map[string]any {
	fields := make(map[string]any)
	all.VisitAll(func(flag *pflag.Flag) {
		if flag.Value.String() == "" && !hasForm(flag) {
			return
		}
		if words, ok := flag.Value.(*List); ok {
			fields[FieldName(flag.Name)] = []string(*words)
			return
		}
		if section, ok := flag.Value.(sectioned); ok {
			fields[FieldName(flag.Name)] = section.tree()
			return
		}
		fields[FieldName(flag.Name)] = flag.Value.String()
	})
	return fields
}

// Remarks returns comments on variables that are set but are not settings of skr.
func (env Environment) Remarks() string {
	var text strings.Builder
	for _, kind := range []struct {
		words string
		is    func(foreign) bool
	}{
		{"set and not used, as imds_url and authority_host set the services for the pod's identity", func(f foreign) bool { return f.Steers }},
		{"set and used only by skrctl", func(f foreign) bool { return f.Desk }},
		{"set and read by libraries", func(f foreign) bool { return !f.Steers && !f.Desk }},
	} {
		if names := env.foreign(kind.is); len(names) > 0 {
			fmt.Fprintf(&text, "# %s: %s\n", kind.words, strings.Join(names, ", "))
		}
	}
	return text.String()
}
