package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"skr/hsm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/provision"
)

// keyJob is one command that changes a key.
type keyJob struct {
	access  keyAccess
	env     config.Environment
	streams cli.Streams
	output  string
	asking  bool // for a confirmation, unless yes is set
	yes     bool
	wait    time.Duration

	apiVersion string // of the settings, once the vault is open
}

func newKeyJob(env config.Environment, streams cli.Streams) *keyJob {
	return &keyJob{env: env, streams: streams, wait: time.Minute}
}

// command returns the command of the job, with the flags of all jobs.
func (j *keyJob) command(use, short, long string, args cobra.PositionalArgs, run func(*cobra.Command, []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cli.CheckOutput(j.output); err != nil {
				return err
			}
			if err := j.check(); err != nil {
				return err
			}
			return run(cmd, args)
		},
	}
	j.access.flags(cmd)
	cli.OutputFlag(cmd, &j.output)
	return cmd
}

// asks adds the flag of a command that asks before it destroys something.
func (j *keyJob) asks(cmd *cobra.Command) {
	j.asking = true
	cmd.Flags().BoolVar(&j.yes, "yes", false, "do not ask; for pipelines")
}

// waits adds the flag of a command that waits for the vault.
func (j *keyJob) waits(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&j.wait, "wait", j.wait, "how long to wait until the vault has completed the change; 0 does not wait")
}

// check refuses a negative wait, and a command that would read both the token and the answer from
// standard input.
func (j *keyJob) check() error {
	if j.asking && !j.yes && j.access.tokenFile == "-" {
		return cli.BadUsage(errors.New("--access-token-file -: standard input cannot hold the answer too; use --yes or a file"))
	}
	if j.wait < 0 {
		return cli.BadUsage(fmt.Errorf("--wait: %s is negative; 0 does not wait", j.wait))
	}
	return nil
}

// onVault opens the vault of the command and calls do.
func (j *keyJob) onVault(cmd *cobra.Command, do func(context.Context, *provision.Vault) error) error {
	desk, err := openKeyDesk(cmd, j.env, j.streams)
	if err != nil {
		return err
	}
	place, err := desk.parseVault(j.access.vault)
	if err != nil {
		return err
	}
	return j.visit(cmd, desk, place, do)
}

// onKey opens the vault of the key that the command names and calls do. If whole is set, the name
// must not have a version.
func (j *keyJob) onKey(cmd *cobra.Command, name string, whole bool, do func(context.Context, *provision.Vault, hsm.KeyID) error) error {
	desk, err := openKeyDesk(cmd, j.env, j.streams)
	if err != nil {
		return err
	}
	id, err := desk.parseKey(j.access.vault, name)
	if err != nil {
		return err
	}
	if whole && id.Version() != "" {
		return cli.BadUsage(fmt.Errorf("%q names a version; %s is for a key with all its versions: leave the version out", name, cmd.Name()))
	}
	return j.visit(cmd, desk, id.Vault(), func(ctx context.Context, v *provision.Vault) error { return do(ctx, v, id) })
}

// visit gets an access token for the vault and calls do, within the time for a request and for a
// wait.
func (j *keyJob) visit(cmd *cobra.Command, desk *keyDesk, place hsm.Vault, do func(context.Context, *provision.Vault) error) error {
	j.apiVersion = desk.settings.VaultAPIVersion
	desk.patience = provision.Patience{Limit: j.wait, Progress: progress(j.streams.Err)}
	if j.wait == 0 {
		desk.patience.Limit = -1
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), desk.settings.RequestTimeout+j.wait)
	defer cancel()
	vault, err := j.access.visit(ctx, desk, place, j.streams.In)
	if err != nil {
		return err
	}
	return do(ctx, vault)
}

// progress returns a function that tells about a wait: when it begins, and every ten seconds.
func progress(out io.Writer) func(time.Duration) {
	return func(waited time.Duration) {
		if waited%(10*time.Second) == 0 {
			_, _ = fmt.Fprintf(out, "skrctl: waiting for the vault (%s)\n", waited) // what cannot be printed is lost
		}
	}
}

// watched prints a warning for a change that was accepted and cannot be watched.
func (j *keyJob) watched(err error) error {
	if errors.Is(err, provision.ErrUnwatched) {
		_, _ = fmt.Fprintf(j.streams.Err, "skrctl: warning: %s\n", err) // a warning that cannot be printed is lost
		return nil
	}
	return err
}

// printKey prints the key as JSON, or a line of text.
func (j *keyJob) printKey(key *provision.Key, format string, args ...any) error {
	info := describeKey(key)
	info.addLapse(key, time.Now())
	return j.print(info, format, args...)
}

func (j *keyJob) print(value any, format string, args ...any) error {
	if j.output == "json" {
		return json.NewEncoder(j.streams.Out).Encode(value)
	}
	_, err := fmt.Fprintf(j.streams.Out, format+"\n", args...)
	return err
}
