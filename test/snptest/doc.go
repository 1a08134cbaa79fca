// Package snptest emulates AMD silicon for tests and for the emulator.
//
// A [Vendor] stands for AMD's certificate authorities of one product line. Its
// [Chip]s have a CHIP_ID, patch levels and keys, and sign reports as the AMD
// Secure Processor does:
//
//	vendor, err := snptest.NewVendor(snp.Milan, time.Now())
//	chip, err := vendor.NewChip()
//	raw, err := chip.Report(snp.Bind(runtimeData), snptest.Options{})
//	chain, err := chip.ChainPEM(chip.TCB()) // VCEK, ASK, ARK
//
// The cryptography is real: a verifier with [Vendor.RootsPEM] as the AMD root
// verifies a report exactly as it verifies a report of real hardware. No other
// verifier accepts it, because the keys are new each time and each certificate
// names the organisation TEST ONLY.
//
// It differs from AMD's silicon in two ways: the RSA keys have 2048 bits,
// because 4096 take seconds to generate, and the certificates name a revocation
// list that is not served.
//
// For false reports and certificates, see [Options] and [Lies].
package snptest
