package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

const (
	maxBootPolicy = 1 << 20
	maxSignature  = 4 << 10
)

// boot verifies a measured boot. evidence is asked for once the policy has been read, and
// returns the nonce that this machine was asked with; nil if the evidence is from files.
func (v *verifier) boot(ctx context.Context, evidence func() (inspect.Artefact, []byte, error)) (*verify.Verdict, error) {
	machine, err := v.demanded()
	if err != nil {
		return nil, err
	}
	found, own, err := evidence()
	if err != nil {
		return nil, err
	}
	if own != nil {
		if machine.Nonce != nil || machine.Policy.Nonce() != nil {
			return nil, &configError{errors.New("this machine is asked with a nonce of its own: name files, or leave out --nonce and the policy's nonce")}
		}
		machine.Nonce = own
	}
	machine.Boot, machine.Given = found.Boot(), givenOf(found)
	if err := v.complete(&machine); err != nil {
		return nil, err
	}
	silicon, err := v.parts.silicon(ctx, v.settings, v.when)
	if err != nil {
		return nil, err
	}
	return verify.OfBoot(machine, silicon, v.when), nil
}

// demanded returns what evidence is compared with.
func (v *verifier) demanded() (m verify.Machine, err error) {
	if m.Policy, err = readFlag("--policy", v.policy, maxBootPolicy, v.in, verify.ParseBootPolicy); err != nil {
		return m, err
	}
	if v.nonce != "" {
		if m.Nonce, err = verify.ParseNonce(v.nonce); err != nil {
			return m, &configError{fmt.Errorf("--%w", err)}
		}
	}
	if m.Roots, err = v.settings.akRoots(); err != nil {
		return m, &settingError{fmt.Errorf("ak_roots: %w", err)}
	}
	return m, nil
}

// complete adds the signature and the chain that flags name.
func (v *verifier) complete(m *verify.Machine) (err error) {
	switch {
	case v.signature == "", m.Boot.Quote == nil: // without a quote verification fails anyhow
	case m.Boot.Quote.Signed():
		return &configError{errors.New("--signature: the quote comes with a signature of its own")}
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
	data, err := readInput(path, limit, in)
	var value T
	if err == nil {
		value, err = parse(data)
	}
	if err != nil {
		return value, &configError{fmt.Errorf("%s: %w", flag, err)}
	}
	return value, nil
}
