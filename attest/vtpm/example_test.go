package vtpm_test

import (
	"errors"
	"fmt"

	"skr/attest/vtpm"
	"skr/test/vtpmtest"
)

// A log counts only together with quoted PCRs. Then it shows whether secure boot was on.
func ExampleEventLog() {
	made := vtpmtest.SecureBootLog(true)
	log, err := vtpm.ParseEventLog(made.Raw())
	if err != nil {
		fmt.Println(err)
		return
	}
	pcr7, err := vtpm.Select(vtpm.SecureBootPCR)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := log.Explain(made.PCRs(), pcr7); err != nil { // PCRs of a verified quote
		fmt.Println(err)
		return
	}
	state, err := log.SecureBoot()
	fmt.Println("secure boot:", state.Enabled, err)
	// Output:
	// secure boot: true <nil>
}

// A quote proves what was started after its signature, nonce, selection and values are
// checked. The attestation key comes from a verified HCL report or AK certificate.
func ExampleQuote() {
	ak, err := vtpmtest.NewAK()
	if err != nil {
		fmt.Println(err)
		return
	}
	pcrs, nonce := vtpmtest.SecureBootLog(true).PCRs(), []byte("chosen by the verifier")
	made, err := ak.Quote(vtpmtest.QuoteOptions{PCRs: pcrs, Nonce: nonce})
	if err != nil {
		fmt.Println(err)
		return
	}
	quote, err := vtpm.ParseQuote(made)
	if err != nil {
		fmt.Println(err)
		return
	}
	wanted, err := vtpm.Select(0, 1, 2, 3, 4, 5, 6, 7)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = errors.Join(quote.VerifySignature(ak.Public()), quote.CheckNonce(nonce), quote.CheckSelection(wanted), quote.CheckPCRs(pcrs))
	fmt.Println("verified:", err == nil)
	fmt.Println("replayed:", errors.Is(quote.CheckNonce([]byte("a later one")), vtpm.ErrNonce))
	// Output:
	// verified: true
	// replayed: true
}
