// Package snptest is emulated AMD silicon, for tests and for the emulator.
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
// The cryptography is real, so whoever is given [Vendor.RootsPEM] as the AMD
// root verifies a report exactly as one of real hardware. Nobody else accepts
// it: the keys are new each time, and each certificate names the organisation
// TEST ONLY.
//
// It differs from AMD's in two ways: the RSA keys have 2048 bits, since 4096
// take seconds to make, and the certificates name no revocation list that is
// served.
//
// Reports and certificates can be made to lie, see [Options] and [Lies].
package snptest
