// Command skr-emulator runs an emulated Azure for confidential machines on the
// loopback interface, for development and tests, and a demonstration of skr on
// it. Everything it makes is rooted in a CA named TEST ONLY.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		_, _ = fmt.Fprintln(os.Stderr, "skr-emulator:", err) // there is nowhere else to say it
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	root := &cobra.Command{
		Use:   "skr-emulator",
		Short: "An emulated Azure for confidential machines, on this machine alone",
		Long: "Emulated AMD silicon, THIM, IMDS, Entra ID, Azure Attestation, Key Vault and Managed HSM, with\n" +
			"real cryptography. For development and tests: nothing that it vouches for is worth anything elsewhere.",
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetOut(out)
	root.SetErr(errOut)
	root.SetArgs(args)
	root.AddCommand(serveCommand(out, errOut), demoCommand(out))
	return root.ExecuteContext(ctx)
}

// workDir makes a directory of our own; sockets need a short path.
func workDir() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "skr-")
	return dir, func() { _ = os.RemoveAll(dir) }, err // a left-over in /tmp is no harm
}
