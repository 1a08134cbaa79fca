package tpm_test

import (
	"context"
	"errors"
	"fmt"

	"skr/internal/tpm"
)

func ExampleOpen() {
	vtpm, err := tpm.Open("/dev/tpmrm0")
	if err != nil {
		return // no vTPM here
	}
	boot, err := tpm.Select(0, 1, 2, 3, 4, 5, 6, 7)
	if err != nil {
		return
	}
	key, err := vtpm.EphemeralKey(context.Background(), boot)
	if errors.Is(err, tpm.ErrAbsent) {
		return // a TPM, but not one of Azure
	}
	if err == nil {
		fmt.Println("what is wrapped to this key opens in this TPM alone:", key.RSA().N.BitLen(), "bits")
	}
}
