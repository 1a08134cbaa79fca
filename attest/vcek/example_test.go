package vcek_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-sev-guest/verify/testdata"
	"github.com/google/go-sev-guest/verify/trust"

	"skr/attest/snp"
	"skr/attest/vcek"
)

// The report comes with its certificates. Verify proves only that AMD's chip made the
// report. The caller judges the content of the report.
func ExampleChain_Verify() {
	report, err := snp.Parse(testdata.AttestationBytes)
	if err != nil {
		fmt.Println(err)
		return
	}
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: testdata.VcekBytes})
	chain, err := vcek.ParsePEM(bytes.Join([][]byte{leaf, trust.AskArkMilanVcekBytes}, nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Date(2023, time.June, 1, 0, 0, 0, 0, time.UTC)
	fmt.Println("verified:", chain.Verify(report, vcek.BuiltinRoots(), at) == nil)
	fmt.Println("product:", chain.Product())

	err = chain.Verify(report, vcek.BuiltinRoots(), at.AddDate(100, 0, 0))
	fmt.Println("a century later, expired:", errors.Is(err, vcek.ErrUntrustedChain))
	// Output:
	// verified: true
	// product: Milan
	// a century later, expired: true
}

// An Endorser finds the chain of a report. This one asks AMD's service.
func ExampleNewEndorser() {
	endorser := vcek.NewEndorser(vcek.Config{Sources: []vcek.Source{
		vcek.NewKDSSource(&http.Client{Timeout: 10 * time.Second}, "https://kdsintf.amd.com"),
	}})
	fetched, _ := endorser.Current()
	fmt.Println("nothing was fetched yet:", fetched.IsZero())
	// Output: nothing was fetched yet: true
}
