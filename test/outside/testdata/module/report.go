package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"skr/api"
	"skr/attest/snp"
	"skr/attest/uvm"
	"skr/attest/vcek"
)

func init() { steps["report"] = verifyReport }

// verifyReport gets evidence of a machine from its sidecar and holds it against AMD's roots.
func verifyReport(ctx context.Context) error {
	client, err := api.NewClient(api.Config{BaseURL: os.Getenv("SIDECAR")})
	if err != nil {
		return err
	}
	nonce := []byte("chosen by the verifier")
	evidence, err := client.Evidence(ctx, nonce)
	if err != nil {
		return err
	}
	report, err := snp.Parse(evidence.Report)
	if err != nil {
		return err
	}
	chain, err := vcek.ParsePEM(evidence.Endorsements)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(os.Getenv("AMD_ROOTS"))
	if err != nil {
		return err
	}
	roots, err := vcek.ParseRoots(pem)
	if err != nil {
		return err
	}
	if err := chain.Verify(report, roots, time.Now()); err != nil {
		return err
	}
	fmt.Println("report verified:", chain.Product(), report.ReportData() == snp.Bind(nonce))
	fmt.Println("AMD's own roots refuse it:", errors.Is(chain.Verify(report, vcek.BuiltinRoots(), time.Now()), vcek.ErrUntrustedChain))

	endorsement, err := uvm.ParseEndorsement(evidence.UVMEndorsements)
	if err != nil {
		return err
	}
	fmt.Println("utility VM endorsed:", endorsement.Measurement() == [48]byte(report.Measurement()), endorsement.KnownIssuer())
	return nil
}
