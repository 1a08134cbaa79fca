package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/strictyaml"
)

func configCommand(env config.Environment, io cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the configuration that applies, as YAML",
		Long: "Prints the configuration as YAML that --config accepts. Precedence, from high to low:\n" +
			"flags, environment (SKR_…), the reference sidecar's environment, the YAML file, defaults.\n" +
			"Comments say where certificates come from, and name the variables that libraries read, without\n" +
			"their values.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, all, err := config.Load(cmd.Flags(), env)
			if err != nil {
				return err
			}
			text, err := strictyaml.Encode(config.FieldsOf(all))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(io.Out, "%s# without a value: %s\n%s%s", text, strings.Join(config.Unvalued(all), ", "), s.Remarks(), env.Remarks())
			return err
		},
	}
}
