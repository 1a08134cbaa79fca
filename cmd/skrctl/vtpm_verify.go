package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/bootpolicy"
	"skr/internal/operator/verify"
)

const (
	maxBootPolicy = 1 << 20
	maxSignature  = 4 << 10
)

// bootQuestion is what skrctl vtpm verify is asked.
type bootQuestion struct {
	viewOptions

	policy, nonce, signature, chain string
}

func vtpmVerifyCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var q bootQuestion
	cmd := &cobra.Command{
		Use:   "verify --policy FILE {FILE... | DIR}",
		Short: "Verify a measured boot against a policy",
		Long: "Verifies what skrctl vtpm show takes: whose TPM it is, what it quoted, whether the event log explains it, and\n" +
			"whether that is what the policy demands. docs/vtpm.md has the policy's fields. A FILE may be -, standard\n" +
			"input. In a pod, `skr attest combined` prints what to verify: the nonce of its quote is the SHA-256 of --runtime-data.\n" +
			"With ak: hcl the policy must say how the paravisor is known, or it must be one of Azure's. The last line says\n" +
			"what was not looked at.\n" +
			"Exit codes: 0 each check that is needed was made and none failed, 6 otherwise, 2 unreadable.",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(q.check(), cli.NoEmptyFlags(cmd)); err != nil {
				return err
			}
			if len(args) == 0 {
				return needsFile(cmd, "skr attest combined")
			}
			return q.verify(cmd, args, env, io)
		},
	}
	cmd.Flags().StringVar(&q.policy, "policy", "", "file with what is demanded, as YAML (required)")
	cmd.Flags().StringVar(&q.nonce, "nonce", "", "nonce that was sent, in hex, in the place of the policy's")
	cmd.Flags().StringVar(&q.signature, "signature", "", "file with the quote's signature, if the quote comes without it")
	cmd.Flags().StringVar(&q.chain, "chain", "", "file with VCEK, ASK and ARK as PEM, or a THIM document")
	_ = cmd.MarkFlagRequired("policy") // the flag is there
	q.bind(cmd)
	return cmd
}

func (q *bootQuestion) verify(cmd *cobra.Command, args []string, env config.Environment, io cli.Streams) error {
	if err := cli.OneStandardInput(append([]string{q.policy, q.signature, q.chain}, args...)...); err != nil {
		return err
	}
	d, err := openDesk(cmd, env, io)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), d.settings.RequestTimeout)
	defer cancel()
	machine, err := q.machine(d.settings, io.In)
	if err != nil {
		return err
	}
	found, err := readBootEvidence(args, io.In)
	if err != nil {
		return err
	}
	machine.Boot, machine.Given.Parts = found.Boot(), found.Parts()
	machine.Given.Evidence, _ = found.Evidence()
	if err := q.complete(&machine, io.In); err != nil {
		return err
	}
	silicon, err := d.silicon(ctx, q.when)
	if err != nil {
		return err
	}
	return q.print(verify.OfBoot(machine, silicon, q.when), env, io.Out)
}

// machine is what evidence is held against.
func (q *bootQuestion) machine(s *config.Settings, in io.Reader) (m verify.Machine, err error) {
	if m.Policy, err = readFlag("--policy", q.policy, maxBootPolicy, in, bootpolicy.Parse); err != nil {
		return m, err
	}
	if q.nonce != "" {
		if m.Nonce, err = bootpolicy.ParseNonce(q.nonce); err != nil {
			return m, cli.BadUsage(fmt.Errorf("--%w", err))
		}
	}
	if m.Roots, err = outbound.AKRoots(s); err != nil {
		return m, config.WrongSetting(fmt.Errorf("ak_roots: %w", err))
	}
	return m, nil
}

// complete adds what the flags bring.
func (q *bootQuestion) complete(m *verify.Machine, in io.Reader) (err error) {
	switch {
	case q.signature == "", m.Boot.Quote == nil: // without a quote nothing is verified anyhow
	case m.Boot.Quote.Signed():
		return cli.BadUsage(errors.New("--signature: the quote comes with a signature of its own"))
	default:
		if m.Boot.Quote, err = readFlag("--signature", q.signature, maxSignature, in, m.Boot.Quote.WithSignature); err != nil {
			return err
		}
	}
	if q.chain != "" {
		m.Given.GivenChain, err = readChain(q.chain, in)
	}
	return err
}

// readFlag reads and parses the file that a flag names.
func readFlag[T any](flag, path string, limit int64, in io.Reader, parse func([]byte) (T, error)) (T, error) {
	data, err := cli.ReadInput(path, limit, in)
	var value T
	if err == nil {
		value, err = parse(data)
	}
	if err != nil {
		return value, cli.BadUsage(fmt.Errorf("%s: %w", flag, err))
	}
	return value, nil
}
