package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

func configCommand(env environment, io streams) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the configuration that is in force, as YAML",
		Long: "Prints the configuration as YAML that --config accepts. Precedence, from strong to weak:\n" +
			"flags, environment (SKR_…), the reference sidecar's environment, the YAML file, defaults.\n" +
			"Comments name the variables that are set for libraries, without their values.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, all, err := load(cmd.Flags(), env)
			if err != nil {
				return err
			}
			text, err := yaml.Marshal(fieldsOf(all))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(io.out, "%s# without a value: %s\n%s", text, strings.Join(unvalued(all), ", "), env.remarks())
			return err
		},
	}
}

// unvalued are the fields without a value, which fieldsOf leaves out: --config takes
// no empty ones.
func unvalued(all *pflag.FlagSet) (names []string) {
	all.VisitAll(func(flag *pflag.Flag) {
		if flag.Value.String() == "" && !hasForm(flag) {
			names = append(names, fieldName(flag.Name))
		}
	})
	return names
}

// hasForm reports whether the field is printed though it is empty.
func hasForm(flag *pflag.Flag) bool {
	_, section := flag.Value.(sectioned)
	return section || slices.Contains(mayBeEmpty, flag.Name)
}

// fieldsOf is the configuration by YAML names. No field holds a secret: tokens
// come from files and requests, never from the configuration.
func fieldsOf(all *pflag.FlagSet) map[string]any {
	fields := make(map[string]any)
	all.VisitAll(func(flag *pflag.Flag) {
		if flag.Value.String() == "" && !hasForm(flag) {
			return
		}
		if words, ok := flag.Value.(*list); ok {
			fields[fieldName(flag.Name)] = []string(*words)
			return
		}
		if section, ok := flag.Value.(sectioned); ok {
			fields[fieldName(flag.Name)] = section.tree()
			return
		}
		fields[fieldName(flag.Name)] = flag.Value.String()
	})
	return fields
}

// remarks are comments on the variables that are set and are no settings of skr's.
func (env environment) remarks() string {
	var text strings.Builder
	for _, kind := range []struct {
		words string
		is    func(foreign) bool
	}{
		{"set and not used, as imds_url and authority_host say whom the pod's identity asks", func(f foreign) bool { return f.steers }},
		{"set and used by skr key alone", func(f foreign) bool { return f.desk }},
		{"set and read by libraries", func(f foreign) bool { return !f.steers && !f.desk }},
	} {
		if names := env.foreign(kind.is); len(names) > 0 {
			fmt.Fprintf(&text, "# %s: %s\n", kind.words, strings.Join(names, ", "))
		}
	}
	return text.String()
}
