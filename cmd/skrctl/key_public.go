package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

func keyPublicCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var access keyAccess
	var format, out string
	cmd := &cobra.Command{
		Use:   "public NAME[/VERSION] --vault HOST",
		Short: "Print the public key, for programs that encrypt to the workload",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "pem" && format != "jwk" {
				return cli.BadUsage(fmt.Errorf("--format: %q is none of pem, jwk", format))
			}
			file, err := cli.OpenOutput(cmd.Context(), out, cli.PublicMode, streams.Out)
			if err != nil {
				return err
			}
			defer file.Close()
			key, err := access.read(cmd, args[0], env, streams)
			if err != nil {
				return err
			}
			text, err := publicText(key, format)
			if err != nil {
				return cli.BadUsage(err)
			}
			return file.Write(text)
		},
	}
	access.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "pem", "pem (SubjectPublicKeyInfo) or jwk")
	cli.OutFlag(cmd, &out, "file to write, mode 0644")
	return cmd
}

func publicText(key *provision.Key, format string) ([]byte, error) {
	text, err := key.PEM() // returns an error for a key without a public part
	if err != nil || format == "pem" {
		return text, err
	}
	text, err = json.Marshal(publicHalf(key))
	return append(text, '\n'), err
}
