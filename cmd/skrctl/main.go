// Command skrctl prepares and checks what the keys of a confidential pod depend on: release policies,
// keys in a vault, evidence that pods print, and audit files. It runs on an operator's machine or in
// a pipeline and uses no device. In the pod, command skr runs.
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
	err := run(ctx, os.Args[1:], config.OSEnvironment(), cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(cli.Report("skrctl", os.Stderr, err))
}

func run(ctx context.Context, args []string, env config.Environment, io cli.Streams) error {
	if err := hardening.CheckEnvironment(env); err != nil {
		return config.WrongSetting(err)
	}
	root := rootCommand(env, io)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

func rootCommand(env config.Environment, io cli.Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "skrctl",
		Short: "Prepare and check the keys of confidential pods",
		Long: "skrctl writes and checks release policies, makes keys in Azure Key Vault and Managed HSM, keeps\n" +
			"their policies in step with what is deployed, and shows and verifies what pods print: reports, tokens, boot evidence, release statements and audit files.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, err := cmd.Flags().GetBool("version"); err != nil || asked {
				return errors.Join(err, cli.PrintVersion("skrctl", io))
			}
			return cli.NeedsCommand(cmd)
		},
	}
	root.AddCommand(policyCommand(env, io), keyCommand(env, io), rolloutCommand(env, io), showCommand(io), verifyCommand(env, io),
		injectCommand(io), measureCommand(io), migrateCommand(io), fragmentCommand(io), auditCommand(io), sealCommand(env, io),
		conformanceCommand(env, io), cli.VersionCommand("skrctl", io))
	for _, former := range []*cobra.Command{reportCommand(env, io), tokenCommand(env, io), vtpmCommand(env, io)} {
		former.Hidden = true // replaced by show and verify; kept for one release
		root.AddCommand(former)
	}
	cli.Equip(root, env, io)
	return root
}
