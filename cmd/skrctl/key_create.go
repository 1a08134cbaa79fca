package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
)

func keyCreateCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var o keyOptions
	cmd := &cobra.Command{
		Use:   "create NAME --vault HOST {--authority HOST --platform PLATFORM [--measurement HEX] | --policy FILE}",
		Short: "Create a key in a vault that only an attested workload can get",
		Long: "Checks the release policy, creates the key in the vault, reads it back, and writes NAME-pub.pem and\n" +
			"NAME-info.json. With --dry-run, it sends nothing and requests no token.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return makeKey(cmd, newKey{name: args[0], options: o}, env, streams)
		},
	}
	o.flags(cmd)
	return cmd
}

func keyImportCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var o keyOptions
	cmd := &cobra.Command{
		Use:   "import NAME FILE --vault HOST {--authority HOST --platform PLATFORM [--measurement HEX] | --policy FILE}",
		Short: "Import a private key that only an attested workload can get",
		Long: "Like skrctl key create, but with the key in FILE: PEM (PKCS #8, PKCS #1, SEC 1), a JWK, or the bytes of an AES\n" +
			"key with --kty oct-HSM. It never prints the key.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			material, err := readMaterial(args[1], o.kty)
			if err != nil {
				return cli.BadUsage(fmt.Errorf("%s: %w", args[1], err))
			}
			defer material.Wipe()
			return makeKey(cmd, newKey{name: args[0], options: o, material: material}, env, streams)
		},
	}
	o.flags(cmd)
	return cmd
}
