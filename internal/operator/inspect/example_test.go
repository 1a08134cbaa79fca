package inspect_test

import (
	"fmt"
	"time"

	"github.com/google/go-sev-guest/verify/testdata"

	"skr/internal/operator/inspect"
)

func ExampleRecognise() {
	found, err := inspect.Recognise(fmt.Appendf(nil, "%x\n", testdata.AttestationBytes))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Kind(), "in", found.Carrier())
	for _, section := range found.Show(time.Now()).Sections {
		fmt.Println(section.Title)
	}
	// Output:
	// snp-report in [hex]
	// Guest
	// POLICY: what the guest's owner allows the host
	// Processor
	// PLATFORM_INFO: how the machine is set up
	// Firmware
	// TCB: patch levels of the firmware's parts, read as of Milan or Genoa, as the product is unknown
	// Mitigations of vulnerabilities
	// Signature, not verified here
}
