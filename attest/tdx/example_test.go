package tdx_test

import (
	"fmt"
	"os"
	"time"

	"skr/attest/tdx"
)

// A quote is verified with Intel's root. This one is of emulated silicon, which has a root of
// its own, and comes with collateral.
func ExampleQuote_Verify() {
	raw, _ := os.ReadFile("testdata/quote-5.bin")
	quote, err := tdx.ParseQuote(raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	pem, _ := os.ReadFile("testdata/roots.pem")
	roots, _ := tdx.ParseRoots(pem)
	file, _ := os.ReadFile("testdata/collateral.json")
	collateral, _ := tdx.ParseCollateral(file)
	policy, _ := tdx.ParsePolicy("UpToDate", "SWHardeningNeeded")

	result, err := quote.Verify(tdx.Verification{
		Roots: roots, ReportData: tdx.Bind([]byte(`{"keys":[],"vm-configuration":{}}`)),
		Collateral: collateral, Policy: policy, Now: time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC),
	})
	fmt.Println("level:", result.Level, err)
	fmt.Println("accepted guest:", quote.MRTD().String()[:8] == "30313233")

	// Without collateral and policy, the result says what was not looked at.
	result, err = quote.Verify(tdx.Verification{
		Roots: roots, ReportData: tdx.Bind([]byte(`{"keys":[],"vm-configuration":{}}`)), Now: time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC),
	})
	fmt.Println("level:", result.Level, err)
	fmt.Println("not looked at:", result.NotLookedAt[0])
	// Output:
	// level: UpToDate by the platform as of 2024-11-13 <nil>
	// accepted guest: true
	// level: <nil> <nil>
	// not looked at: the TCB level of the platform (TCB info is missing)
}

func ExampleParseReport() {
	raw, _ := os.ReadFile("testdata/td-report.bin")
	report, err := tdx.ParseReport(raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report)
	fmt.Println("debug:", report.Attributes().Debug())
	// Output:
	// TD report version 1, TEE_TCB_SVN 07010300000000000000000000000000
	// debug: false
}
