package main

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/internal/azure/cloud"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/lint"
	"skr/internal/operator/template"
	"skr/internal/strictjson"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// newPolicy are the flags of skrctl policy new.
type newPolicy struct {
	platform                        string
	authorities, measurements, pcrs config.List
	workload, report, token         string
	live, anyWorkload               bool
	with                            config.List
	minimumSVN                      string
	out, output                     string
}

func policyNewCommand(env config.Environment, streams cli.Streams) *cobra.Command {
	var n newPolicy
	cmd := &cobra.Command{
		Use:   "new --platform PLATFORM --authority HOST {--measurement HEX | --workload FILE | --report FILE | --token FILE}",
		Short: "Write a release policy for a workload",
		Long: "Writes a policy that gives a key to only one workload. The conditions come from a measurement, from the\n" +
			"deployment file (--workload, see skrctl measure), or from a report or token of a machine that runs the workload.\n" +
			"Reports and tokens are not verified: their values become conditions. With --output, the command writes what\n" +
			"creates an RSA-HSM key with the policy in a key vault: see docs/policies.md.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := n.complete(cmd, env); err != nil {
				return err
			}
			return writePolicy(cmd, n, streams)
		},
	}
	n.flags(cmd)
	return cmd
}

func (n *newPolicy) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&n.platform, "platform", "", "aci, aks-kata, cvm, cvm-tdx or trusted-launch")
	flags.Var(&n.authorities, "authority", "attestation services; any of them may attest the workload; the issuer of --token if empty")
	flags.Var(&n.measurements, "measurement", "HOST_DATA of containers, launch measurements of a cvm (MRTD of a cvm-tdx); hexadecimal, any of several")
	flags.StringVar(&n.workload, "workload", "", "manifest, ARM template or CCE policy, whose HOST_DATA is taken; - is standard input")
	flags.StringVar(&n.report, "report", "", "attestation report or TDX quote, binary or hexadecimal, whose HOST_DATA is taken; - is standard input")
	flags.StringVar(&n.token, "token", "", "attestation token, or its claims as JSON, whose HOST_DATA is taken; - is standard input")
	liveFlag(flags, &n.live)
	flags.Var(&n.with, "with", "other values to require from the report or token: svn, tcb, launch-measurement, pcr0 to pcr23")
	flags.Var(&n.pcrs, "pcr", "PCR values of a virtual machine: NUMBER=VALUE, in hexadecimal or base64")
	flags.StringVar(&n.minimumSVN, "minimum-svn", "", "minimum security version of the utility VM, or of the guest of a cvm")
	flags.BoolVar(&n.anyWorkload, "any-workload", false, "give the key to every container of every tenant")
	flags.StringVar(&n.output, "output", policyAlone, "policy, or the key with it as bicep, terraform, azapi, arm or az want it")
	cli.OutFlag(cmd, &n.out, "file to write, mode 0644")
}

// complete completes names of shared providers. Only they depend on settings.
func (n *newPolicy) complete(cmd *cobra.Command, env config.Environment) error {
	if !slices.ContainsFunc(n.authorities, cloud.IsShared) && !cmd.Flags().Changed("cloud") {
		return nil
	}
	s, _, err := config.Load(cmd.Flags(), env)
	if err == nil {
		n.authorities = namesFor(s).all(n.authorities)
	}
	return err
}

func writePolicy(cmd *cobra.Command, n newPolicy, streams cli.Streams) error {
	spec, err := n.spec(streams)
	if err != nil {
		return cli.BadUsage(err)
	}
	policy, err := lint.New(spec)
	if err != nil {
		return cli.BadUsage(err)
	}
	for _, f := range lint.Check(policy.Raw(), lint.Subject{Platform: spec.Platform}) {
		if f.Outcome != lint.Info {
			_, _ = fmt.Fprintf(streams.Err, "skrctl: %s: %s: %s; %s\n", lint.Format.Words[f.Outcome], f.Name, f.Found, f.Fix) // a finding that cannot be printed is lost
		}
	}
	text, err := n.text(policy)
	if err != nil {
		return err
	}
	return cli.WriteOutput(cmd.Context(), n.out, text, cli.PublicMode, streams.Out)
}

// policyAlone is the value of --output for a policy without a key.
const policyAlone = "policy"

func (n newPolicy) text(policy *releasepolicy.Policy) ([]byte, error) {
	if n.output == policyAlone {
		return policy.Raw(), nil
	}
	return template.Write(template.Tool(n.output), policy)
}

// spec returns the conditions from all flags and files.
func (n newPolicy) spec(streams cli.Streams) (spec lint.Spec, err error) {
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
			return spec, fmt.Errorf("--minimum-svn: %q is not a number", n.minimumSVN)
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
	for _, given := range []bool{n.workload != "", n.report != "", n.token != ""} {
		if given {
			sources++
		}
	}
	if _, err := claims.ParsePlatform(n.platform); err != nil {
		return fmt.Errorf("--platform: %w", err)
	}
	if n.output != policyAlone {
		if _, err := template.ParseTool(n.output); err != nil {
			return fmt.Errorf("--output: %w, %s", err, policyAlone)
		}
	}
	switch {
	case n.live:
		return errors.New("--live: skrctl uses no device; run `skr attest raw` in the pod and pass its output with --report")
	case sources > 1:
		return errors.New("--workload, --report and --token: use only one")
	case len(n.with) > 0 && n.report == "" && n.token == "":
		return errors.New("--with takes values from --report or --token")
	}
	return nil
}

func parsePCRs(words config.List) (map[int]string, error) {
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

func (n newPolicy) adoptFiles(spec *lint.Spec, streams cli.Streams) error {
	switch {
	case n.workload != "":
		policies, err := readWorkload(n.workload, streams)
		if err != nil {
			return err
		}
		for _, p := range policies {
			noteImports(n.workload, p, streams.Err)
			spec.HostData = append(spec.HostData, p.Digest())
			if p.AllowsEverything() {
				spec.AllowAll = append(spec.AllowAll, p.Digest())
			}
		}
	case n.report != "":
		facts, err := readFacts(n.report, streams.In)
		if err != nil {
			return err
		}
		return spec.Adopt(facts, n.with)
	case n.token != "":
		token, err := readClaims(n.token, streams.In)
		if err != nil {
			return err
		}
		return spec.Adopt(lint.FactsOfClaims(token), n.with)
	}
	return nil
}

// readFacts reads a report or a TDX quote as bytes, as hexadecimal digits, or as skr attest raw
// prints it.
func readFacts(path string, in io.Reader) (lint.Facts, error) {
	data, err := cli.ReadInput(path, maxClaimsFile, in)
	if err != nil {
		return lint.Facts{}, err
	}
	if data, err = evidenceIn(data); err != nil {
		return lint.Facts{}, fmt.Errorf("%s %w", path, err)
	}
	if tdx.IsQuote(data) {
		quote, err := tdx.ParseQuote(data)
		if err != nil {
			return lint.Facts{}, fmt.Errorf("%s: %w", path, err)
		}
		return lint.FactsOfQuote(quote), nil
	}
	report, err := snp.Parse(data)
	if err != nil {
		return lint.Facts{}, fmt.Errorf("%s: %w", path, err)
	}
	return lint.FactsOfReport(report), nil
}

// evidenceIn returns the bytes of a report or quote.
func evidenceIn(data []byte) ([]byte, error) {
	if len(data) == snp.ReportSize || tdx.IsQuote(data) {
		return data, nil
	}
	text := strings.TrimSpace(string(data))
	if answer, err := strictjson.Parse(data); err == nil {
		if quote, found := answer.Text("td_quote"); found {
			if data, err = base64.StdEncoding.DecodeString(quote); err != nil {
				return nil, errors.New("has a td_quote that is not base64")
			}
			return data, nil
		}
		text, _ = answer.Text("report")
	}
	decoded, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("is neither an attestation report (%d bytes) nor a TDX quote, in binary or hexadecimal", snp.ReportSize)
	}
	return decoded, nil
}

func readClaims(path string, in io.Reader) (strictjson.Object, error) {
	data, err := cli.ReadInput(path, maxClaimsFile, in)
	if err != nil {
		return strictjson.Object{}, err
	}
	token, err := lint.ReadClaims(data)
	if err != nil {
		return strictjson.Object{}, fmt.Errorf("%s: %w", path, err)
	}
	return token, nil
}
