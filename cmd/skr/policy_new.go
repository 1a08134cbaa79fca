package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"skr/attest/snp"
	"skr/internal/operator/lint"
	"skr/internal/strictjson"
	"skr/releasepolicy/claims"
)

// newPolicy are the flags of skr policy new.
type newPolicy struct {
	platform                        string
	authorities, measurements, pcrs list
	workload, report, token         string
	live, anyWorkload               bool
	with                            list
	minimumSVN                      string
	out                             string
}

func policyNewCommand(env environment, streams streams) *cobra.Command {
	var n newPolicy
	cmd := &cobra.Command{
		Use:   "new --platform PLATFORM --authority HOST {--measurement HEX | --workload FILE | --report FILE | --token FILE | --live}",
		Short: "Write a release policy for a workload",
		Long: "Writes the policy that gives a key to one workload only. What it must prove comes from a measurement, from\n" +
			"what will be deployed (--workload, see skr policy measure), or from a machine that runs it already. Reports and\n" +
			"tokens are not verified: the policy asks for what they say.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return writePolicy(cmd, n, env, streams) },
	}
	n.flags(cmd)
	return cmd
}

func (n *newPolicy) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&n.platform, "platform", "", "aci, aks-kata, cvm or trusted-launch")
	flags.Var(&n.authorities, "authority", "attestation services, of which any may attest the workload; the issuer of --token if empty")
	flags.Var(&n.measurements, "measurement", "HOST_DATA of containers, launch measurements of a cvm; hexadecimal, any of several")
	flags.StringVar(&n.workload, "workload", "", "manifest, ARM template or CCE policy, whose HOST_DATA is taken; - is standard input")
	flags.StringVar(&n.report, "report", "", "attestation report, binary or hexadecimal, whose HOST_DATA is taken; - is standard input")
	flags.StringVar(&n.token, "token", "", "attestation token, or its claims as JSON, whose HOST_DATA is taken; - is standard input")
	flags.BoolVar(&n.live, "live", false, "take HOST_DATA from a report of this machine")
	flags.Var(&n.with, "with", "what else to take from the report or token: svn, tcb, launch-measurement, pcr0 to pcr23")
	flags.Var(&n.pcrs, "pcr", "values of PCRs of a virtual machine: NUMBER=VALUE, hexadecimal or base64")
	flags.StringVar(&n.minimumSVN, "minimum-svn", "", "least security version of the utility VM, or of the guest of a cvm")
	flags.BoolVar(&n.anyWorkload, "any-workload", false, "give the key to every container of every tenant")
	outFlag(cmd, &n.out, "file to write, mode 0644")
}

func writePolicy(cmd *cobra.Command, n newPolicy, env environment, streams streams) error {
	spec, err := n.spec(streams)
	if err != nil {
		return &configError{err}
	}
	if n.live {
		if err := n.adoptLive(cmd, &spec, env, streams); err != nil {
			return err
		}
	}
	policy, err := lint.New(spec)
	if err != nil {
		return &configError{err}
	}
	for _, f := range lint.Check(policy.Raw(), lint.Subject{Platform: spec.Platform}) {
		if f.Outcome != lint.Info {
			_, _ = fmt.Fprintf(streams.err, "skr: %s: %s: %s; %s\n", lint.Format.Words[f.Outcome], f.Name, f.Found, f.Fix) // nowhere else to say it
		}
	}
	return writeOutput(cmd.Context(), n.out, policy.Raw(), publicMode, streams.out)
}

// spec reads all flags and files, but for the machine itself.
func (n newPolicy) spec(streams streams) (spec lint.Spec, err error) {
	if err := n.check(); err != nil {
		return spec, err
	}
	spec.Platform = claims.Platform(n.platform)
	spec.Authorities = n.authorities
	spec.AnyWorkload = n.anyWorkload
	if spec.Platform == claims.ACI || spec.Platform == claims.AKSKata {
		spec.HostData = n.measurements
	} else {
		spec.Measurements = n.measurements
	}
	if n.minimumSVN != "" {
		svn, err := strconv.ParseUint(n.minimumSVN, 10, 32)
		if err != nil {
			return spec, fmt.Errorf("--minimum-svn: %q is no number", n.minimumSVN)
		}
		spec.MinimumSVN = &svn
	}
	if spec.PCRs, err = parsePCRs(n.pcrs); err != nil {
		return spec, fmt.Errorf("--pcr: %w", err)
	}
	return spec, n.adoptFiles(&spec, streams)
}

func (n newPolicy) check() error {
	sources := 0
	for _, given := range []bool{n.workload != "", n.report != "", n.token != "", n.live} {
		if given {
			sources++
		}
	}
	if _, err := claims.ParsePlatform(n.platform); err != nil {
		return fmt.Errorf("--platform: %w", err)
	}
	switch {
	case sources > 1:
		return errors.New("--workload, --report, --token and --live: only one can say what the workload is")
	case len(n.with) > 0 && n.report == "" && n.token == "" && !n.live:
		return errors.New("--with takes values from --report, --token or --live")
	}
	return nil
}

func parsePCRs(words list) (map[int]string, error) {
	all := make(map[int]string, len(words))
	for _, word := range words {
		digits, value, found := strings.Cut(word, "=")
		number, err := strconv.Atoi(digits)
		if err != nil || !found {
			return nil, fmt.Errorf("%q is not NUMBER=VALUE", word)
		}
		all[number] = value
	}
	return all, nil
}

func (n newPolicy) adoptFiles(spec *lint.Spec, streams streams) error {
	switch {
	case n.workload != "":
		policies, err := readWorkload(n.workload, streams)
		if err != nil {
			return err
		}
		for _, p := range policies {
			spec.HostData = append(spec.HostData, p.Digest())
			if p.AllowsEverything() {
				spec.AllowAll = append(spec.AllowAll, p.Digest())
			}
		}
	case n.report != "":
		report, err := readReport(n.report, streams.in)
		if err != nil {
			return err
		}
		return spec.Adopt(lint.FactsOfReport(report), n.with)
	case n.token != "":
		token, err := readClaims(n.token, streams.in)
		if err != nil {
			return err
		}
		return spec.Adopt(lint.FactsOfClaims(token), n.with)
	}
	return nil
}

// adoptLive asks this machine for a report; what the report binds does not matter.
func (n newPolicy) adoptLive(cmd *cobra.Command, spec *lint.Spec, env environment, streams streams) error {
	s, parts, err := oneShot(cmd, env, streams)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), s.RequestTimeout)
	defer cancel()
	evidence, err := parts.attester.Report(ctx, nil)
	if err != nil {
		return err
	}
	if err := spec.Adopt(lint.FactsOfReport(evidence.Report), n.with); err != nil {
		return &configError{err}
	}
	return nil
}

// readReport takes the bytes, their hexadecimal digits, or what skr attest raw prints.
func readReport(path string, in io.Reader) (*snp.Report, error) {
	data, err := readInput(path, maxClaimsFile, in)
	if err != nil {
		return nil, err
	}
	if len(data) != snp.ReportSize {
		text := strings.TrimSpace(string(data))
		if answer, err := strictjson.Parse(data); err == nil {
			text, _ = answer.Text("report")
		}
		if data, err = hex.DecodeString(text); err != nil {
			return nil, fmt.Errorf("%s is no attestation report: neither %d bytes nor their hexadecimal digits", path, snp.ReportSize)
		}
	}
	report, err := snp.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return report, nil
}

func readClaims(path string, in io.Reader) (strictjson.Object, error) {
	data, err := readInput(path, maxClaimsFile, in)
	if err != nil {
		return strictjson.Object{}, err
	}
	token, err := lint.ReadClaims(data)
	if err != nil {
		return strictjson.Object{}, fmt.Errorf("%s: %w", path, err)
	}
	return token, nil
}
