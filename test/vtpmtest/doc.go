// Package vtpmtest creates the evidence of an emulated Azure virtual machine
// with a virtual TPM, without a TPM: HCL reports, quotes, event logs and
// certificates of attestation keys.
//
//	ak, err := vtpmtest.NewAK()
//	log := vtpmtest.SecureBootLog(true)
//	quote, err := ak.Quote(vtpmtest.QuoteOptions{PCRs: log.PCRs(), Nonce: nonce})
//	index, err := vtpmtest.HCL(chip, vtpmtest.Claims(ak.Public(), true), vtpmtest.HCLOptions{})
//
// The cryptography is real. Certificates lead to a new root each time, named
// TEST ONLY; reports are signed by the chip of package snptest.
package vtpmtest
