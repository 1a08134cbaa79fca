package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"skr/internal/sbom"
)

func versionCommand(io streams) *cobra.Command {
	var materials bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, or the bill of materials",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if materials {
				return printMaterials(io)
			}
			return printVersion(io)
		},
	}
	cmd.Flags().BoolVar(&materials, "sbom", false, "print the modules that this program consists of, as CycloneDX JSON")
	return cmd
}

func printVersion(io streams) error {
	_, err := fmt.Fprintf(io.out, "skr %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

func printMaterials(io streams) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program was built without information on its modules")
	}
	return sbom.Write(io.out, info, version())
}

// release is set by the linker for builds outside a repository.
var release string

// version is what the build was given or the Go toolchain recorded: a module
// version, or the commit.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return "unknown"
}
