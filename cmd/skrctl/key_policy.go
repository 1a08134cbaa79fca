package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"skr/internal/check"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/lint"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

const maxPolicyFile = 1 << 20

// keyPolicy are the flags for the release policy.
type keyPolicy struct {
	authorities, measurements config.List
	platform, file            string
	accept                    config.List
}

func (p *keyPolicy) flags(fs *pflag.FlagSet) {
	p.sourceFlags(fs)
	fs.Var(&p.accept, "accept", "policy check rules to ignore")
}

// sourceFlags adds the flags that say where the policy comes from.
func (p *keyPolicy) sourceFlags(fs *pflag.FlagSet) {
	fs.Var(&p.authorities, "authority", "attestation services; any of them may attest the workload")
	fs.StringVar(&p.platform, "platform", "", "aci, aks-kata, cvm, cvm-tdx or trusted-launch")
	fs.Var(&p.measurements, "measurement",
		"what may run: HOST_DATA of containers (see skrctl measure), launch measurements of a cvm (MRTD of a cvm-tdx); hexadecimal, any of several")
	fs.StringVar(&p.file, "policy", "", "file with a release policy, instead of --authority and --measurement")
}

// load reads the policy from the file, or creates one.
func (p *keyPolicy) load() (*releasepolicy.Policy, error) {
	known := lint.Rules()
	for _, name := range p.accept {
		if !slices.ContainsFunc(known, func(r lint.Rule) bool { return r.Name == name }) {
			return nil, fmt.Errorf("--accept: %q is not a rule of skrctl policy check", name)
		}
	}
	if _, err := claims.ParsePlatform(p.platform); p.platform != "" && err != nil {
		return nil, fmt.Errorf("--platform: %w", err)
	}
	switch {
	case p.file != "" && len(p.authorities)+len(p.measurements) > 0:
		return nil, errors.New("--policy replaces --authority and --measurement: leave them out")
	case p.file != "":
		return p.open()
	case len(p.authorities) == 0 || p.platform == "":
		return nil, errors.New("--authority and --platform are needed, or --policy")
	}
	return p.create()
}

func (p *keyPolicy) open() (*releasepolicy.Policy, error) {
	data, err := config.ReadBounded(p.file, maxPolicyFile)
	if err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	document, err := lint.Open(data)
	if err != nil {
		return nil, fmt.Errorf("--policy: %s: %w", p.file, err)
	}
	policy, err := releasepolicy.Parse(document.Text)
	if err != nil {
		return nil, fmt.Errorf("--policy: %s: %w", p.file, err)
	}
	return policy, nil
}

func (p *keyPolicy) create() (*releasepolicy.Policy, error) {
	platform := claims.Platform(p.platform)
	spec := lint.Spec{Platform: platform, Authorities: p.authorities}
	if platform == claims.ACI || platform == claims.AKSKata {
		spec.HostData = p.measurements
	} else {
		spec.Measurements = p.measurements
	}
	return lint.New(spec)
}

// policyError lists the errors of a policy.
type policyError struct{ findings []check.Result }

func (e *policyError) Error() string {
	texts := make([]string, len(e.findings))
	for i, f := range e.findings {
		texts[i] = fmt.Sprintf("%s (line %d: %s; %s)", f.Name, f.Line, f.Found, f.Fix)
	}
	return "the release policy has errors, and nothing was sent; fix them, or name the rules to ignore in --accept: " + strings.Join(texts, "; ")
}

// check prints warnings. It returns an error if the policy breaks a rule that --accept does not name.
func (p *keyPolicy) check(policy *releasepolicy.Policy, immutable bool, out io.Writer) error {
	var refused []check.Result
	for _, f := range lint.Check(policy.Raw(), lint.Subject{Platform: claims.Platform(p.platform), Immutable: &immutable}) {
		accepted := slices.Contains(p.accept, f.Name)
		switch {
		case f.Outcome == lint.Error && !accepted:
			refused = append(refused, f)
		case f.Outcome == lint.Error || f.Outcome == lint.Warning && !accepted:
			_, _ = fmt.Fprintf(out, "skrctl: warning: %s: %s; %s\n", f.Name, f.Found, f.Fix) // a warning that cannot be printed is lost
		}
	}
	if len(refused) > 0 {
		return cli.BadUsage(&policyError{refused})
	}
	return nil
}
