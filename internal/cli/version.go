package cli

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"skr/internal/sbom"
)

// VersionCommand returns the command version of a program.
func VersionCommand(program string, io Streams) *cobra.Command {
	var materials bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, or the bill of materials",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if materials {
				return printMaterials(io)
			}
			return PrintVersion(program, io)
		},
	}
	cmd.Flags().BoolVar(&materials, "sbom", false, "print the modules of this program as CycloneDX JSON")
	return cmd
}

// PrintVersion prints the version of a program.
func PrintVersion(program string, io Streams) error {
	_, err := fmt.Fprintf(io.Out, "%s %s %s %s/%s\n", program, sbom.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func printMaterials(io Streams) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program was built without module information")
	}
	return sbom.Write(io.Out, info, sbom.Version())
}
