package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

const (
	maxBootPolicy = 1 << 20
	maxSignature  = 4 << 10
)

// boot verifies a measured boot.
func (v *verifier) boot(ctx context.Context, artefact inspect.Artefact) (*verify.Verdict, error) {
	machine, err := v.requirements()
	if err != nil {
		return nil, err
	}
	machine.Boot, machine.Given = artefact.Boot(), givenOf(artefact)
	if err := v.complete(&machine); err != nil {
		return nil, err
	}
	silicon, err := v.silicon(ctx, v.when)
	if err != nil {
		return nil, err
	}
	return verify.OfBoot(machine, silicon, v.when), nil
}

// requirements returns what the evidence is compared with.
func (v *verifier) requirements() (m verify.Machine, err error) {
	if m.Policy, err = readFlag("--policy", v.policy, maxBootPolicy, v.in, verify.ParseBootPolicy); err != nil {
		return m, err
	}
	if v.nonce != "" {
		if m.Nonce, err = verify.ParseNonce(v.nonce); err != nil {
			return m, cli.BadUsage(fmt.Errorf("--%w", err))
		}
	}
	if m.Roots, err = outbound.AKRoots(v.settings); err != nil {
		return m, config.WrongSetting(fmt.Errorf("ak_roots: %w", err))
	}
	return m, nil
}

// complete adds the signature and the chain of the flags.
func (v *verifier) complete(m *verify.Machine) (err error) {
	switch {
	case v.signature == "", m.Boot.Quote == nil: // without a quote, verification fails in any case
	case m.Boot.Quote.Signed():
		return cli.BadUsage(errors.New("--signature: the quote already has a signature"))
	default:
		if m.Boot.Quote, err = readFlag("--signature", v.signature, maxSignature, v.in, m.Boot.Quote.WithSignature); err != nil {
			return err
		}
	}
	if v.chain != "" {
		m.Given.GivenChain, err = readChain(v.chain, v.in)
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
