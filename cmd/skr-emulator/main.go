// Command skr-emulator runs an emulated Azure for confidential machines, for
// development and tests, and demonstrates skr on it. Other machines cannot reach it.
// All its certificates lead to a CA named TEST ONLY.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"skr/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, context.Canceled) {
		return
	}
	os.Exit(cli.Report("skr-emulator", os.Stderr, err))
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	root := rootCommand(out, errOut)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

func rootCommand(out, errOut io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "skr-emulator",
		Short: "Run an emulated Azure for confidential machines on this machine",
		Long: "Emulates AMD silicon, THIM, IMDS, Entra ID, Azure Attestation, Key Vault and\n" +
			"Managed HSM, with real cryptography. For development and tests only: no other\n" +
			"system trusts its certificates.",
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetOut(out)
	root.SetErr(errOut)
	cli.FormatHelp(root)
	root.AddCommand(serveCommand(out, errOut), healthcheckCommand(), demoCommand(out), conformanceCommand(out, errOut))
	cli.Strict(root)
	return root
}

// workDir creates a temporary directory. Sockets need a short path.
func workDir() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "skr-")
	return dir, func() { _ = os.RemoveAll(dir) }, err // leftovers in /tmp are harmless
}
