// Command skr releases keys to a confidential pod over a local API. It proves to Microsoft Azure
// Attestation what the pod's machine is, presents the token to Azure Key Vault or Managed HSM, and
// unwraps the released key.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/hardening"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args, config.OSEnvironment(), cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(cli.Report("skr", os.Stderr, err))
}

// run runs the program. argv begins with the name of the program.
func run(ctx context.Context, argv []string, env config.Environment, io cli.Streams) error {
	if err := hardening.CheckEnvironment(env); err != nil {
		return config.WrongSetting(err)
	}
	args, err := dropInArguments(argv, env)
	if err != nil {
		return err
	}
	root := rootCommand(env, io)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

func rootCommand(env config.Environment, io cli.Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "skr",
		Short: "Secure key release for confidential pods",
		Long: "skr proves to Microsoft Azure Attestation what this machine is, and releases keys of\n" +
			"Azure Key Vault and Managed HSM to the applications of its pod. Without a command, it runs `skr serve`.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveOrWrap(cmd, env, io) },
	}
	root.AddCommand(serveCommand(env, io), attestCommand(env, io), releaseCommand(env, io), execCommand(env, io), wrapCommand(env, io), unwrapCommand(env, io),
		healthcheckCommand(env, io), configCommand(env, io), doctorCommand(env, io), agentCommand(env, io), csiProviderCommand(env, io),
		cli.VersionCommand("skr", io))
	root.AddCommand(movedCommands()...)
	addDropIns(root)
	cli.Equip(root, env, io, "skr", "skr serve", "skr agent", "skr csi-provider")
	return root
}

// serveOrWrap runs the program without a command. It serves, unless flags ask for the version or,
// in the drop-in, to wrap a file.
func serveOrWrap(cmd *cobra.Command, env config.Environment, io cli.Streams) error {
	if asked, err := cmd.Flags().GetBool("version"); err != nil || asked {
		return errors.Join(err, cli.PrintVersion("skr", io))
	}
	file, asked, err := wrapsFile(cmd.Flags())
	switch {
	case err != nil:
		return err
	case asked:
		return file.wrap(cmd.Context(), io)
	}
	return serve(cmd, env, io)
}
