package tpm_test

import (
	"context"
	"errors"
	"fmt"

	"skr/attest/tpm"
	"skr/attest/vtpm"
)

func ExampleOpen() {
	device, err := tpm.Open("/dev/tpmrm0")
	if err != nil {
		return // no vTPM on this machine
	}
	boot, err := vtpm.Select(0, 1, 2, 3, 4, 5, 6, 7)
	if err != nil {
		return
	}
	key, err := device.EphemeralKey(context.Background(), boot)
	if errors.Is(err, tpm.ErrAbsent) {
		return // a TPM, but not one of Azure
	}
	if err == nil {
		fmt.Println("only this TPM opens what is wrapped to this key:", key.RSA().N.BitLen(), "bits")
	}
}
