package snp_test

import (
	"fmt"

	"github.com/google/go-sev-guest/verify/testdata"

	"skr/attest/snp"
)

func ExampleParse() {
	report, err := snp.Parse(testdata.AttestationBytes)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("version", report.Version(), "signed by a", report.SigningKey())
	fmt.Println("reported TCB:", report.ReportedTCB())
	fmt.Println("debugging allowed:", report.Policy().Debug())
	// A version 2 report does not name its product. Its VCEK certificate does.
	fmt.Println("product:", report.Product())
	// Output:
	// version 2 signed by a VCEK
	// reported TCB: bootloader 2, tee 0, snp 5, microcode 68
	// debugging allowed: true
	// product: unknown
}
