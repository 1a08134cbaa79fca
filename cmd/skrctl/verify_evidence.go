package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/attest/vcek"
	"skr/internal/azure/outbound"
	"skr/internal/cli"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

// givenOf returns the evidence and the parts of an artefact.
func givenOf(artefact inspect.Artefact) verify.Given {
	evidence, _ := artefact.Evidence()
	return verify.Given{Evidence: evidence, Parts: artefact.Parts()}
}

// evidence verifies a report with its parts and the input of the flags.
func (v *verifier) evidence(ctx context.Context, given verify.Given) (*verify.Verdict, error) {
	var err error
	if v.chain != "" {
		if given.GivenChain, err = readChain(v.chain, v.in); err != nil {
			return nil, err
		}
	}
	if v.runtimeData != "" {
		if given.GivenData, err = cli.ReadRuntimeData(v.runtimeData, v.in); err != nil {
			return nil, err
		}
	}
	silicon, err := v.silicon(ctx, v.when)
	if err != nil {
		return nil, err
	}
	return verify.OfEvidence(given, silicon, v.when), nil
}

func readChain(path string, in io.Reader) (*vcek.Chain, error) {
	artefact, err := readArtefact(path, in)
	if err != nil {
		return nil, err
	}
	evidence, _ := artefact.Evidence()
	if evidence.Chain == nil {
		return nil, cli.BadUsage(fmt.Errorf("--chain: %s: this is not a chain of VCEK, ASK and ARK; it is: %s", path, artefact))
	}
	for _, p := range artefact.Parts() {
		if p.Err != nil {
			return nil, cli.BadUsage(fmt.Errorf("--chain: %s: %w", path, p.Err))
		}
	}
	return evidence.Chain, nil
}

// silicon returns the configured roots and sources, as of the time at.
func (d *desk) silicon(ctx context.Context, at time.Time) (verify.Silicon, error) {
	roots, err := outbound.AMDRoots(d.settings)
	if err != nil {
		return verify.Silicon{}, cli.BadUsage(fmt.Errorf("amd_roots: %w", err))
	}
	endorser := vcek.NewEndorser(vcek.Config{
		Sources: outbound.CertificateSources(d.settings, d.out, nil), Roots: roots, Now: func() time.Time { return at },
	})
	find := func(report *snp.Report) (*vcek.Chain, error) { return endorser.Chain(ctx, report) }
	intel, err := d.platform(ctx, at)
	return verify.Silicon{Roots: roots, Find: find, Intel: intel}, err
}

// platform returns what quotes of TDX are verified with, as of the time at.
func (d *desk) platform(ctx context.Context, at time.Time) (p verify.Platform, err error) {
	if p.Roots, err = d.settings.IntelRoots(); err != nil {
		return p, cli.BadUsage(fmt.Errorf("intel_roots: %w", err))
	}
	if p.Policy, err = d.settings.TCBPolicy(); err != nil {
		return p, cli.BadUsage(fmt.Errorf("tcb_status: %w", err))
	}
	if sources := outbound.CollateralSources(d.settings, d.out); sources != nil {
		p.Find = func(q *tdx.Quote) (*tdx.Collateral, error) { return tdx.Find(ctx, sources, q, p.Roots, at) }
	}
	return p, nil
}
