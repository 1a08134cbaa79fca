package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"skr/internal/cli"
	"skr/internal/handover"
	"skr/internal/keyformat"
	"skr/internal/secretfile"
	"skr/internal/supervisor"
)

var formats = strings.Replace(keyformat.Names(), ", raw", " or raw", 1)

// execPlan is what skr exec does, checked.
type execPlan struct {
	items     []handover.Item
	owner     secretfile.Owner
	allowDisk bool
	path      string
	args      []string
	rotation  rotation
	stopFor   time.Duration
}

// rotation is what happens when a key has another version. The zero value releases once.
type rotation struct {
	every   time.Duration // key_refresh
	restart bool
	signal  syscall.Signal
}

func (r rotation) wanted() bool { return r.restart || r.signal != 0 }

func (o execOptions) plan(cmd *cobra.Command, args []string) (p execPlan, err error) {
	if p.items, err = o.items(); err != nil {
		return p, cli.BadUsage(err)
	}
	switch {
	case len(args) == 0:
		return p, cli.Misused(cmd, "COMMAND is needed")
	case len(p.items) == 0:
		return p, cli.Misused(cmd, "--env, --memfd or --file is needed")
	}
	if p.owner, err = secretfile.ParseOwner(o.owner); err != nil {
		return p, cli.BadUsage(fmt.Errorf("--owner: %w", err))
	}
	if p.rotation, err = o.rotation(p.items); err != nil {
		return p, cli.BadUsage(err)
	}
	if o.stopFor <= 0 {
		return p, cli.BadUsage(errors.New("--stop-timeout must be positive"))
	}
	p.allowDisk, p.stopFor, p.args = o.allowDisk, o.stopFor, args
	p.path, err = supervisor.Find(args[0])
	return p, startFailure(err)
}

func (o execOptions) items() (all []handover.Item, err error) {
	for _, flag := range []struct {
		name   string
		kind   handover.Kind
		values []string
	}{{"env", handover.Variable, o.variables}, {"memfd", handover.Memory, o.memory}, {"file", handover.File, o.files}} {
		for _, value := range flag.values {
			item, err := handover.Parse(flag.kind, value)
			if err != nil {
				return nil, fmt.Errorf("--%s: %w", flag.name, err)
			}
			all = append(all, item)
		}
	}
	unnamed := slices.ContainsFunc(all, func(i handover.Item) bool { return i.Alias == "" })
	if unnamed && (o.named.authority == "" || o.named.vault == "" || o.named.key == "") {
		return nil, errors.New("--authority, --vault and --key are needed for a key without an alias")
	}
	if !unnamed && (o.named.authority != "" || o.named.vault != "" || o.named.key != "") {
		return nil, errors.New("--authority, --vault and --key name a key without an alias, as in --env NAME=:pem: leave them out, or the alias")
	}
	if o.named.accessTokenFile == "-" {
		return nil, errors.New("--access-token-file: standard input belongs to COMMAND; name a file")
	}
	return all, nil
}

// rotation parses --on-rotate. A running program keeps the environment and the memory that it
// started with.
func (o execOptions) rotation(items []handover.Item) (r rotation, err error) {
	name, isSignal := strings.CutPrefix(o.onRotate, "signal:")
	switch {
	case o.onRotate == "none":
		return r, nil
	case o.onRotate == "restart":
		r.restart = true
		return r, nil
	case !isSignal:
		return r, fmt.Errorf("--on-rotate: %.80q is none of none, restart, signal:NAME", o.onRotate)
	case slices.ContainsFunc(items, func(i handover.Item) bool { return i.Kind != handover.File }):
		return r, errors.New("--on-rotate: a signal is for --file alone: the environment and the memory of a running program cannot be replaced; use restart")
	}
	r.signal = unix.SignalNum("SIG" + strings.TrimPrefix(name, "SIG"))
	if r.signal == 0 || r.signal == unix.SIGKILL || r.signal == unix.SIGSTOP {
		return r, fmt.Errorf("--on-rotate: %.80q is no signal that a program receives; use for example signal:HUP", name)
	}
	return r, nil
}

func (p execPlan) config(keys handover.Keys) handover.Config {
	return handover.Config{Items: p.items, Keys: keys, Owner: p.owner, AllowDisk: p.allowDisk}
}
