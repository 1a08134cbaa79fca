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
	cmd.Flags().DurationVar(&j.wait, "wait", j.wait, "how long to wait until the vault has completed the change")
}

// check refuses a command that would read both the token and the answer from standard input.
func (j *keyJob) check() error {
	if j.asking && !j.yes && j.access.tokenFile == "-" {
		return cli.BadUsage(errors.New("--access-token-file -: standard input cannot hold the answer too; use --yes or a file"))
	}
	return nil
}

// openVault is a vault during one job.
type openVault struct {
	*provision.Vault

	desk   *keyDesk
	place  hsm.Vault
	ctx    context.Context //nolint:containedctx // ends with the command
	cancel context.CancelFunc
}

// open opens the vault that the command names.
func (j *keyJob) open(cmd *cobra.Command) (*openVault, error) {
	desk, err := openKeyDesk(cmd, j.env, j.streams)
	if err != nil {
		return nil, err
	}
	v := &openVault{desk: desk}
	if v.place, err = desk.parseVault(j.access.vault); err != nil {
		return nil, err
	}
	return v, nil
}

// visit gets an access token for the vault. The command has to call cancel.
func (j *keyJob) visit(cmd *cobra.Command, v *openVault) (err error) {
	v.desk.patience = provision.Patience{Limit: j.wait, Progress: progress(j.streams.Err)}
	v.ctx, v.cancel = context.WithTimeout(cmd.Context(), v.desk.settings.RequestTimeout+j.wait)
	if v.Vault, err = j.access.visit(v.ctx, v.desk, v.place, j.streams.In); err != nil {
		v.cancel()
	}
	return err
}

// openKey is a key and its vault during one job.
type openKey struct {
	*openVault

	id hsm.KeyID
}

// openVersion opens the vault of a key that may be named with a version.
func (j *keyJob) openVersion(cmd *cobra.Command, name string) (*openKey, error) {
	v, err := j.open(cmd)
	if err != nil {
		return nil, err
	}
	id, err := v.desk.parseKey(j.access.vault, name)
	if err != nil {
		return nil, err
	}
	return &openKey{v, id}, j.visit(cmd, v)
}

// openName opens the vault of a key that must be named without a version.
func (j *keyJob) openName(cmd *cobra.Command, name string) (*openKey, error) {
	v, err := j.open(cmd)
	if err != nil {
		return nil, err
	}
	id, err := v.desk.parseKey(j.access.vault, name)
	if err != nil {
		return nil, err
	}
	if id.Version() != "" {
		return nil, cli.BadUsage(fmt.Errorf("%q names a version; %s is for a key with all its versions: leave the version out", name, cmd.Name()))
	}
	return &openKey{v, id}, j.visit(cmd, v)
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
