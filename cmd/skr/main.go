// Command skr releases keys to a confidential pod: it proves to Microsoft Azure
// Attestation what the pod's machine is, shows the token to Azure Key Vault or
// Managed HSM, and unwraps the key that comes back, over a local API.
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

	"skr/internal/sidecar/hardening"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args, osEnvironment(), streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(report(os.Stderr, err))
}

// streams are the standard streams of the process.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is the program: argv with the name it was started by, env, and streams.
func run(ctx context.Context, argv []string, env environment, io streams) error {
	if err := hardening.CheckEnvironment(env); err != nil {
		return &settingError{err}
	}
	args, err := dropInArguments(argv, env)
	if err != nil {
		return err
	}
	root := rootCommand(env, io)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

func rootCommand(env environment, io streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "skr",
		Short: "Secure key release for confidential pods",
		Long: "skr proves to Microsoft Azure Attestation what this machine is, and releases keys of\n" +
			"Azure Key Vault and Managed HSM to the applications of its pod. Without a command it serves.",
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return serveOrWrap(cmd, env, io) },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.Flags().SortFlags = false
	root.Flags().Bool("version", false, "print the version")
	root.PersistentFlags().SortFlags = false
	root.PersistentFlags().String("config", "", "YAML file with the fields that the command config prints")
	logging.addTo(root.PersistentFlags(), new(settings).flags())
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetUsageFunc(printUsage)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(serveCommand(env, io), attestCommand(env, io), releaseCommand(env, io), wrapCommand(env, io), unwrapCommand(env, io),
		healthcheckCommand(env, io), configCommand(env, io), auditCommand(io), policyCommand(env, io), keyCommand(env, io), doctorCommand(env, io),
		showCommand(io), verifyCommand(env, io), reportCommand(env, io), tokenCommand(env, io), vtpmCommand(env, io), agentCommand(env, io), versionCommand(io))
	addSettings(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	strict(root)
	logged(root, env, io)
	return root
}

// serveOrWrap is what the program does without a command: it serves, unless flags ask for
// the version or, as the drop-in's do, to wrap a file.
func serveOrWrap(cmd *cobra.Command, env environment, io streams) error {
	if asked, err := cmd.Flags().GetBool("version"); err != nil || asked {
		return errors.Join(err, printVersion(io))
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

// report prints the error in one line and returns the exit code.
func report(out io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(out, "skr:", err) // there is nowhere else to say it
	return exitCode(err)
}
