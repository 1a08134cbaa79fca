package config

import "github.com/spf13/pflag"

// Variable is an environment variable of a container.
type Variable struct{ Name, Value string }

// Variables returns the settings that the file or a flag sets, as variables. The variables of a container are in the
// execution policy of its pod; the content of a file is not.
func Variables(all *pflag.FlagSet) (variables []Variable) {
	set := originsOf(all)
	all.VisitAll(func(flag *pflag.Flag) {
		if by := set[FieldName(flag.Name)]; by != "" && by != ByAliases && by != "cloud" {
			variables = append(variables, Variable{envName(flag.Name), flag.Value.String()})
		}
	})
	return variables
}
