package uvm_test

import (
	"errors"
	"fmt"

	"skr/attest/uvm"
	"skr/test/uvmtest"
)

// An endorsement applies to a machine if its measurement equals the one in the machine's
// verified report and its issuer, feed and version are acceptable.
func ExampleParseEndorsement() {
	measurement := [48]byte{1, 2, 3} // from the report: report.Measurement()
	endorser, err := uvmtest.NewEndorser()
	if err != nil {
		fmt.Println(err)
		return
	}
	raw, err := endorser.Endorse(measurement, 104, "ContainerPlat-AMD-UVM")
	if err != nil {
		fmt.Println(err)
		return
	}
	endorsement, err := uvm.ParseEndorsement(raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("of this machine:", endorsement.Measurement() == measurement)
	fmt.Println("feed and version:", endorsement.Feed(), endorsement.GuestSVN())
	fmt.Println("by Microsoft:", endorsement.KnownIssuer())

	raw[len(raw)-1] ^= 1
	_, err = uvm.ParseEndorsement(raw)
	fmt.Println("altered:", errors.Is(err, uvm.ErrSignature))
	// Output:
	// of this machine: true
	// feed and version: ContainerPlat-AMD-UVM 104
	// by Microsoft: false
	// altered: true
}
