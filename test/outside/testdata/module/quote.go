package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"skr/attest/vtpm"
)

func init() { steps["quote"] = verifyQuote }

// verifyQuote holds the evidence of a confidential virtual machine, in files, together. That
// package vcek verifies the report in it is step report.
func verifyQuote(context.Context) error {
	var files [3][]byte
	for i, name := range []string{"hcl", "quote", "log"} {
		var err error
		if files[i], err = os.ReadFile(filepath.Join(os.Getenv("VM"), name)); err != nil {
			return err
		}
	}
	hcl, err := vtpm.ParseHCL(files[0])
	if err != nil {
		return err
	}
	if err := hcl.CheckBound(); err != nil {
		return err
	}
	ak, err := hcl.Claims().AK()
	if err != nil {
		return err
	}
	quote, err := vtpm.ParseQuote(files[1])
	if err != nil {
		return err
	}
	log, err := vtpm.ParseEventLog(files[2])
	if err != nil {
		return err
	}
	selection, err := vtpm.Select(0, 1, 2, 3, 4, 5, 6, 7)
	if err != nil {
		return err
	}
	values := vtpm.PCRs{}
	for _, pcr := range selection.List() {
		values[pcr] = log.Replay()[pcr]
	}
	err = errors.Join(quote.VerifySignature(ak), quote.CheckNonce([]byte("nonce")), quote.CheckSelection(selection),
		quote.CheckPCRs(values), log.Explain(values, selection))
	if err != nil {
		return err
	}
	state, err := log.SecureBoot()
	if err != nil {
		return err
	}
	configuration, _ := hcl.Claims().Members()["vm-configuration"].(map[string]any)
	fmt.Println("quote verified, secure boot:", state.Enabled, configuration["secure-boot"])
	fmt.Println("another nonce is refused:", errors.Is(quote.CheckNonce([]byte("other")), vtpm.ErrNonce))
	return nil
}
