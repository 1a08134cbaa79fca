package verify_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/go-sev-guest/verify/testdata"

	"skr/attest/vcek"
	"skr/internal/check"
	"skr/internal/operator/inspect"
	"skr/internal/operator/verify"
)

// A report without certificates whose guest may be debugged.
func ExampleOfEvidence() {
	found, err := inspect.Recognise(testdata.AttestationBytes)
	if err != nil {
		fmt.Println(err)
		return
	}
	evidence, _ := found.Evidence()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	v := verify.OfEvidence(verify.Given{Evidence: evidence, Parts: found.Parts()}, verify.Silicon{Roots: vcek.BuiltinRoots()}, at)
	var text strings.Builder
	if err := v.Report().Write(&text, check.Plain); err != nil {
		fmt.Println(err)
	}
	fmt.Print(strings.ReplaceAll(text.String(), "); ", ");\n")) // shorter lines
	// Output:
	// evidence as of 2026-01-02T03:04:05Z
	//   ok       contents           every known part can be read
	//   ok       report             of version 2
	//   FAILED   certificate chain  there is none
	//            fix: give the chain of this machine (VCEK, ASK, ARK) with --chain; for silicon that is not AMD's set amd_roots
	//   FAILED   chip and TCB       it cannot be made: there is no chain
	//   FAILED   report signature   it cannot be made: there is no chain
	//   FAILED   guest policy       the host may debug the guest (DEBUG)
	//            fix: do not trust this guest: launch it with a policy that forbids both
	//   ok       privilege level    VMPL 0
	//   skipped  runtime data       none was given
	//   skipped  init-time data     none was given
	//   skipped  UVM endorsement    there is none
	// not looked at: runtime data (none was given);
	// init-time data (none was given);
	// UVM endorsement (there is none);
	// whether MEASUREMENT, HOST_DATA and the firmware are ones that you accept; AMD's revocation lists
}
