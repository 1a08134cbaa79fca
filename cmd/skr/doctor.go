package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"skr/api"
	"skr/internal/check"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/sidecar"
	"skr/internal/sidecar/doctor"
)

// doctorOptions are the flags of skr doctor.
type doctorOptions struct {
	releaseOptions

	output string
}

func doctorCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor [--alias NAME [--key-version VERSION] | --authority HOST --vault HOST --key NAME[/VERSION]]",
		Short: "Find out why this machine does not get its keys",
		Long: "Checks each step of a release: the machine's report and certificates, the services and their\n" +
			"clocks, the identity, the attestation, the key, its policy, and the release itself. Without\n" +
			"a key, it checks every alias of the configuration. The first failure sets the exit code:\n" +
			"2 configuration, 3 refused, 4 unreachable, 5 no evidence, 6 answer not trusted, 1 any other error.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return examine(cmd, o, env, io) },
	}
	flags := cmd.Flags()
	o.keyFlags(flags)
	flags.StringVar(&o.output, "output", "text", "text or json")
	return cmd
}

func examine(cmd *cobra.Command, o doctorOptions, env config.Environment, io cli.Streams) error {
	if o.output != "text" && o.output != "json" {
		return cli.BadUsage(fmt.Errorf("--output: %q is none of text, json", o.output))
	}
	s, parts, err := oneShot(cmd, env, io)
	if err != nil {
		return err
	}
	targets, err := o.targets(parts, io.In)
	if err != nil {
		return err
	}
	auditor, err := openAuditor(s, io.Err)
	if err != nil {
		return err
	}
	config := parts.Doctor(s, targets, auditor.Auditor)
	parts.Faults.Add(sidecar.Traces, sidecar.CheckTracing(cmd.Context(), env))
	config.Local = localSidecar(s.Listen)
	results := doctor.New(config).Examine(cmd.Context())
	if err := auditor.close(); err != nil {
		return err
	}
	if err := o.print(io.Out, env, results); err != nil {
		return err
	}
	return diagnosed(results)
}

// targets returns the key that flags name, or every alias.
func (o doctorOptions) targets(parts *sidecar.Parts, in io.Reader) ([]doctor.Target, error) {
	if o.alias == "" && o.authority == "" && o.vault == "" && o.key == "" && o.version == "" {
		return parts.Targets(), nil
	}
	if err := o.checkNames(); err != nil {
		return nil, cli.BadUsage(err)
	}
	request, err := o.request(parts, in)
	if err != nil {
		return nil, err
	}
	return []doctor.Target{{Name: request.Key.Name(), Request: request, InVault: parts.InVault(o.alias)}}, nil
}

func localSidecar(listen string) func(context.Context) ([]doctor.Problem, error) {
	return func(ctx context.Context) ([]doctor.Problem, error) {
		client, err := api.NewClient(api.Config{BaseURL: baseURL(listen)})
		if err != nil {
			return nil, err
		}
		waiting, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		notReady := client.WaitReady(waiting)
		asking, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		status, err := client.Status(asking)
		var problems []doctor.Problem
		for _, p := range status.Problems {
			problems = append(problems, doctor.Problem{Part: p.Part, Reason: p.Problem, Fix: sidecar.FixFor(p.Part)})
		}
		if ready, unasked := client.Ready(asking); unasked == nil && !ready.Ready {
			notReady = &doctor.NotReadyError{Parts: ready.String()}
		}
		return problems, errors.Join(notReady, err)
	}
}

// doctorFormat also shows the causes of failures, for the operator.
var doctorFormat = func() check.Format {
	f := doctor.Format
	f.Details, f.Indent = "details", true
	return f
}()

func (o doctorOptions) print(out io.Writer, env config.Environment, results []check.Result) error {
	report := check.Report{Format: doctorFormat, Results: results, Document: doctor.Diagnose(results, doctorFormat)}
	return report.Write(out, cli.StyleFor(o.output, out, env))
}

// diagnosed returns the first failure as an error. Its kind determines the exit code.
func diagnosed(results []check.Result) error {
	first := check.FirstFailure(results)
	if first == nil {
		return nil
	}
	return &diagnosisError{first}
}

type diagnosisError struct{ first *check.Result }

func (e *diagnosisError) Error() string {
	return fmt.Sprintf("the first check that failed is %q: %s", e.first.Name, e.first.Found)
}

func (e *diagnosisError) Unwrap() error { return e.first.Err }
