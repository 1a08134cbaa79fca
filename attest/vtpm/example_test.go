package vtpm_test

import (
	"fmt"

	"skr/attest/vtpm"
	"skr/test/vtpmtest"
)

// A log counts only together with quoted PCRs; then it tells secure boot.
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
