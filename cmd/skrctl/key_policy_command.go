package main

import (
	"errors"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/lint"
	"skr/internal/operator/rollout"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

func keyPolicyCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show and change the release policy of a key",
		Long: "Shows and changes the release policy of a key, which stays the same key. Each change prints the difference in\n" +
			"meaning and which pods lose the key, and asks before it writes. It reads the policy again before it writes, and\n" +
			"reads it back afterwards.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(keyPolicyShowCommand(env, streams), keyPolicySetCommand(env, streams),
		keyPolicyAllowCommand(env, streams), keyPolicyRetireCommand(env, streams))
	return cmd
}

func keyPolicySetCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var e policyEdit
	var p keyPolicy
	cmd := &cobra.Command{
		Use:   "set NAME --vault HOST {--policy FILE | --authority HOST --platform PLATFORM [--measurement HEX]}",
		Short: "Replace the release policy of a key",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			desk, err := e.open(cmd, env, streams)
			if err != nil {
				return err
			}
			p.authorities = desk.names().all(p.authorities)
			policy, err := p.load()
			if err != nil {
				return cli.BadUsage(err)
			}
			e.subject.Platform = claims.Platform(p.platform)
			e.next = func(*releasepolicy.Policy) (*releasepolicy.Policy, error) { return policy, nil }
			return e.run(cmd, args[0], desk, streams)
		},
	}
	cmd.Flags().SortFlags = false
	e.keyAccess.flags(cmd)
	p.sourceFlags(cmd.Flags())
	e.writing.flags(cmd, cmd.Flags())
	return cmd
}

// selected are the flags that name what to allow or to retire.
type selected struct {
	measurements, authorities, workloads config.List
}

func (s *selected) flags(cmd *cobra.Command, verb string) {
	fs := cmd.Flags()
	fs.Var(&s.measurements, "measurement", "HOST_DATA of containers, launch measurements of virtual machines; hexadecimal")
	fs.Var(&s.workloads, "workload", "deployment files as for skrctl measure; "+verb+" the HOST_DATA of all pods in them; - is standard input")
	fs.Var(&s.authorities, "authority", "attestation services")
}

// load returns the selection, and the measurements of policies that allow everything.
func (s *selected) load(n names, streams cli.Streams) (selection rollout.Selection, allowAll []string, err error) {
	selection = rollout.Selection{Measurements: s.measurements, Authorities: n.all(s.authorities)}
	for _, path := range s.workloads {
		policies, err := readWorkload(path, streams)
		if err != nil {
			return selection, nil, err
		}
		for _, p := range policies {
			selection.Measurements = append(selection.Measurements, p.Digest())
			if p.AllowsEverything() {
				allowAll = append(allowAll, p.Digest())
			}
		}
	}
	if len(selection.Measurements)+len(selection.Authorities) == 0 {
		err = errors.New("--measurement, --workload or --authority is needed")
	}
	return selection, allowAll, err
}

func keyPolicyAllowCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	return selectionCommand("allow", "Allow more measurements or authorities to get a key",
		"Adds measurements and authorities to the release policy of a key. Pods that have the key keep it.",
		rollout.Selection.Allow, env, streams)
}

func keyPolicyRetireCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	return selectionCommand("retire", "Remove measurements or authorities from the policy of a key",
		"Removes measurements and authorities from the release policy of a key. Do this when no pod with them runs any more.",
		rollout.Selection.Retire, env, streams)
}

func selectionCommand(verb, short, long string, apply func(rollout.Selection, *releasepolicy.Policy) (*releasepolicy.Policy, error),
	env config.Environment, streams cli.Streams,
) *cobra.Command {
	var e policyEdit
	var s selected
	cmd := &cobra.Command{
		Use:   verb + " NAME --vault HOST {--measurement HEX | --workload FILE | --authority HOST}...",
		Short: short,
		Long:  long,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			desk, err := e.open(cmd, env, streams)
			if err != nil {
				return err
			}
			if err := cli.OneStandardInput(append([]string{e.tokenFile}, s.workloads...)...); err != nil {
				return err
			}
			selection, allowAll, err := s.load(desk.names(), streams)
			if err != nil {
				return cli.BadUsage(err)
			}
			e.subject = lint.Subject{AllowAll: allowAll}
			e.next = func(p *releasepolicy.Policy) (*releasepolicy.Policy, error) { return apply(selection, p) }
			return e.run(cmd, args[0], desk, streams)
		},
	}
	cmd.Flags().SortFlags = false
	e.keyAccess.flags(cmd)
	s.flags(cmd, verb)
	e.writing.flags(cmd, cmd.Flags())
	return cmd
}

// open checks the flags and opens the desk.
func (e *policyEdit) open(cmd *cobra.Command, env config.Environment, streams cli.Streams) (*keyDesk, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if e.tokenFile == cli.StandardOutput && !e.yes && !e.dryRun {
		return nil, cli.BadUsage(errors.New("--access-token-file -: standard input cannot also answer; add --yes or --dry-run"))
	}
	return openKeyDesk(cmd, env, streams)
}
