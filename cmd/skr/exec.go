package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/handover"
	"skr/internal/supervisor"
)

// execOptions are the flags of skr exec.
type execOptions struct {
	named                    releaseOptions // the key that flags name
	variables, memory, files []string
	owner                    string
	allowDisk                bool
	onRotate                 string
	stopFor                  time.Duration
}

func execCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:   "exec {--env | --memfd | --file} NAME=ALIAS:FORMAT... [--on-rotate WHAT] -- COMMAND [ARGUMENT...]",
		Short: "Release keys, and run a program that gets them",
		Long: "Releases keys without a running sidecar, and then runs COMMAND, which gets them in its environment, in memory that\n" +
			"it opens like a file, or in files on a tmpfs. Passes signals on to COMMAND, and returns its exit code, or 128 and the\n" +
			"number of the signal that ended it. Also works as the first process of a container.\n\n" +
			"ALIAS is in the section keys of the configuration. Without it, --authority, --vault and --key name the key.\n" +
			"FORMAT is " + formats + ".\n" +
			"envelope:FILE stands for the secret in an envelope of `skrctl seal`, which the key opens.\n\n" +
			"Exit codes before COMMAND runs: 2 configuration, 3 refused, 4 unreachable, 5 no evidence, 6 answer not trusted,\n" +
			"126 COMMAND cannot be executed, 127 COMMAND was not found, 1 any other error.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return runExec(cmd, o, args, env, streams) },
	}
	cmd.DisableFlagsInUseLine = true // they precede COMMAND
	flags := cmd.Flags()
	flags.SetInterspersed(false) // what follows COMMAND is its own
	flags.StringArrayVar(&o.variables, "env", nil, "NAME=ALIAS:FORMAT: the variable NAME has the key; may be repeated")
	flags.StringArrayVar(&o.memory, "memfd", nil, "NAME=ALIAS:FORMAT: the variable NAME has the path of memory with the key; may be repeated")
	flags.StringArrayVar(&o.files, "file", nil, "PATH=ALIAS:FORMAT: the file has the key, with mode 0400, while COMMAND runs; may be repeated")
	flags.StringVar(&o.owner, "owner", "", "UID or UID:GID that owns the files and the memory, if not the user of skr")
	flags.BoolVar(&o.allowDisk, "allow-disk", false, "allow --file on a file system that is not in memory")
	flags.StringVar(&o.onRotate, "on-rotate", "none", "when a key has another version: none (release once), restart COMMAND, or signal:NAME "+
		"after replacing the files, such as signal:HUP")
	flags.DurationVar(&o.stopFor, "stop-timeout", defaultStop, "how long COMMAND may take to stop before a restart, after SIGTERM")
	o.named.keyNames(flags)
	return cmd
}

const defaultStop = 10 * time.Second

// runExec runs the program. Everything that can be wrong on the command line is found before a
// key is released.
func runExec(cmd *cobra.Command, o execOptions, args []string, env config.Environment, streams cli.Streams) error {
	plan, err := o.plan(cmd, args)
	if err != nil {
		return err
	}
	s, _, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return err
	}
	plan.rotation.every = s.KeyRefresh
	s.KeyCacheTTL, s.MaxStale = 0, 0 // a release that looks for another version must ask the vault
	parts, err := assembleOnce(s, streams)
	if err != nil {
		return err
	}
	log, err := cli.CommandLog(s, streams.Err)
	if err != nil {
		return err
	}
	defer log.Close()
	keys, err := openExecKeys(o, plan.items, s, parts, streams)
	if err != nil {
		return err
	}
	run := &execution{plan: plan, env: env, keys: keys, log: log.Logger, timeout: s.RequestTimeout}
	return errors.Join(run.run(cmd.Context()), keys.close())
}

// execution is one run of skr exec.
type execution struct {
	plan    execPlan
	env     config.Environment
	keys    *execKeys
	log     *slog.Logger
	timeout time.Duration // of one release

	handover   *handover.Handover
	supervisor *supervisor.Supervisor
	followers  sync.WaitGroup
}

func (e *execution) run(ctx context.Context) (err error) {
	if e.handover, err = handover.New(e.plan.config(e.keys)); err != nil {
		return cli.BadUsage(err)
	}
	e.supervisor = supervisor.New(supervisor.Config{Grace: e.plan.stopFor, Logger: e.log})
	defer e.supervisor.Close()
	defer e.remove()
	if err := e.first(ctx); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // signals are for the program now
	defer e.followers.Wait()                                        // they write files
	defer stop()
	code, err := e.supervisor.Wait(e.changes(running))
	if err != nil {
		return startFailure(err)
	}
	return cli.Status(code, nil)
}

// first starts the program for the first time.
func (e *execution) first(ctx context.Context) error {
	d, err := e.prepare(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.WriteFiles(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("a signal arrived before the start of the program: %w", err)
	}
	return e.start(d)
}

func (e *execution) prepare(ctx context.Context) (*handover.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	return e.handover.Prepare(ctx)
}

// start starts the program. The kernel copies its environment, so that the secrets in this
// process are overwritten, and the pages that are free now are given back.
func (e *execution) start(d *handover.Delivery) error {
	env, err := d.Environment(e.env)
	if err != nil {
		return err
	}
	err = e.supervisor.Start(supervisor.Program{Path: e.plan.path, Args: e.plan.args, Env: env, Files: d.Memory()})
	d.Close()
	debug.FreeOSMemory()
	return startFailure(err)
}

// startFailure gives the error of a program that cannot be started the exit code of a shell.
func startFailure(err error) error {
	if failed, ok := errors.AsType[*supervisor.StartError](err); ok {
		return cli.Status(failed.Code, err)
	}
	return err
}

func (e *execution) remove() {
	if err := e.handover.Remove(); err != nil {
		e.log.Warn("a file with a secret remains", "error", err.Error())
	}
}
