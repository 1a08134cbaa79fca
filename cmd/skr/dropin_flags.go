package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"skr/internal/config"
)

// addDropIns adds the flags of the drop-in to the commands that use the listeners.
func addDropIns(cmd *cobra.Command) {
	for _, c := range append(cmd.Commands(), cmd) {
		if slices.Contains(config.Uses[c.CommandPath()], config.Addresses) {
			addDropInFlags(c.Flags())
		}
	}
}

// addDropInFlags adds the flags that only the drop-in has.
func addDropInFlags(fs *pflag.FlagSet) {
	fs.String("base64", "", "base64 of the JSON of SkrSideCarArgs")
	fs.String("port", "", "port of the HTTP listener on localhost")
	fs.String("server-type", "", "http or grpc")
	fs.String("infile", "", "file to wrap")
	fs.String("keypath", "", "PATH/NAME of the key to wrap with: PATH/NAME-info.json describes it")
	fs.String("outfile", "", "file for the annotation")
	fs.Bool("allow-testing-mismatched-tcb", false, "always refused")
	for _, name := range config.DropInFlags {
		if flag := fs.Lookup(name); flag != nil && new(config.Settings).Flags().Lookup(name) == nil {
			flag.Hidden = true
		}
	}
}
