package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"skr/api"
	"skr/internal/check"
	"skr/internal/sidecar/doctor"
	"skr/internal/sidecar/parties"
)

// doctorOptions say which key is in question and how to tell.
type doctorOptions struct {
	releaseOptions

	output string
}

func doctorCommand(env environment, io streams) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor [--alias NAME | --authority HOST --vault HOST --key NAME[/VERSION]]",
		Short: "Find out what keeps this machine from getting its keys",
		Long: "Looks at each step of a release: the machine's report and certificates, the services and\n" +
			"their clock, the identity, the attestation, the key, its policy, and the release itself.\n" +
			"Without a key it looks at every alias of the configuration. The exit code is that of the\n" +
			"first failure: 3 refused, 4 unreachable, 5 no evidence, 6 answer not trusted, 1 anything else.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return examine(cmd, o, env, io) },
	}
	flags := cmd.Flags()
	o.keyFlags(flags)
	flags.StringVar(&o.output, "output", "text", "text or json")
	return cmd
}

func examine(cmd *cobra.Command, o doctorOptions, env environment, io streams) error {
	if o.output != "text" && o.output != "json" {
		return &configError{fmt.Errorf("--output: %q is none of text, json", o.output)}
	}
	s, parts, err := oneShot(cmd, env, io)
	if err != nil {
		return err
	}
	targets, err := o.targets(parts, io.in)
	if err != nil {
		return err
	}
	seen, err := openWitness(s, io.err)
	if err != nil {
		return err
	}
	config := parts.doctor(s, targets, seen.witness)
	parts.faults.add(traces, checkTracing(cmd.Context(), env))
	config.Local = localSidecar(s.Listen)
	results := doctor.New(config).Examine(cmd.Context())
	if err := seen.close(); err != nil {
		return err
	}
	if err := o.print(io.out, env, results); err != nil {
		return err
	}
	return diagnosed(results)
}

// targets is the key that was named, or every alias.
func (o doctorOptions) targets(parts *sidecar, in io.Reader) ([]doctor.Target, error) {
	if o.alias == "" && o.authority == "" && o.vault == "" && o.key == "" {
		return parts.targets(), nil
	}
	if err := o.checkNames(); err != nil {
		return nil, &configError{err}
	}
	request, err := o.request(parts, in)
	if err != nil {
		return nil, err
	}
	return []doctor.Target{{Name: request.Key.Name(), Request: request}}, nil
}

func (p *sidecar) targets() (targets []doctor.Target) {
	for _, name := range slices.Sorted(maps.Keys(p.aliases)) {
		for n, way := range p.aliases[name].Ways() {
			targets = append(targets, doctor.Target{Name: targetName(name, n), Request: way})
		}
	}
	return targets
}

// targetName tells an alias from its fall-backs, by the number that the log has.
func targetName(alias string, way int) string {
	if way == 0 {
		return alias
	}
	return fmt.Sprintf("%s, fall-back %d", alias, way)
}

// doctor is told of the parts that this process is made of.
func (p *sidecar) doctor(s *settings, targets []doctor.Target, seen *witness) doctor.Config {
	return doctor.Config{
		Attester: p.attester, Endorser: p.endorser, Context: p.context, OtherSilicon: p.otherSilicon,
		Problems: p.faults.list, Releaser: witnessed{p.releaser, seen},
		Describer: p.vault, Identity: parties.Identity(p.identity, nil), IdentityName: p.identity.String(),
		Endpoints: p.endpoints(s, targets), Targets: targets, UnsetLists: s.unset(), Timeout: s.RequestTimeout, Now: time.Now,
	}
}

// endpoints are the services that the targets need, each once.
func (p *sidecar) endpoints(s *settings, targets []doctor.Target) (endpoints []doctor.Endpoint) {
	add := func(e doctor.Endpoint) {
		if !slices.ContainsFunc(endpoints, func(other doctor.Endpoint) bool { return other.URL == e.URL }) {
			endpoints = append(endpoints, e)
		}
	}
	for _, t := range targets {
		authority, vault := t.Request.Authority.Host(), t.Request.Key.Host()
		add(doctor.Endpoint{Name: authority.String(), URL: authority.URL() + "/certs", HTTP: p.out.maa, Clock: true})
		add(doctor.Endpoint{Name: vault.String(), URL: vault.URL() + "/", HTTP: p.out.vault})
		if t.Request.Access.IsZero() {
			add(p.identityEndpoint(s))
		}
	}
	return endpoints
}

func (p *sidecar) identityEndpoint(s *settings) doctor.Endpoint {
	if host := p.identity.LoginURL(); host != "" {
		return doctor.Endpoint{Name: host, URL: host, HTTP: p.out.entra}
	}
	return doctor.Endpoint{Name: "instance metadata service", URL: s.IMDSURL + "/metadata/versions", HTTP: p.out.imds}
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
			problems = append(problems, doctor.Problem{Part: p.Part, Reason: p.Problem, Fix: fixOf[p.Part]})
		}
		return problems, errors.Join(notReady, err)
	}
}

// checkTracing says whether the sidecar can trace as the environment asks.
func checkTracing(ctx context.Context, env environment) error {
	tracer, err := newTracer(ctx, env, slog.New(slog.DiscardHandler))
	return errors.Join(err, tracer.Shutdown(ctx))
}

// doctorFormat adds the causes of failures, which are for the operator of the command.
var doctorFormat = func() check.Format {
	f := doctor.Format
	f.Details, f.Indent = "details", true
	return f
}()

func (o doctorOptions) print(out io.Writer, env environment, results []check.Result) error {
	report := check.Report{Format: doctorFormat, Results: results, Document: doctor.Diagnose(results, doctorFormat)}
	return report.Write(out, styleFor(o.output, out, env))
}

// diagnosed returns the first failure as an error, whose kind decides the exit code.
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
