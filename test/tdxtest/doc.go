// Package tdxtest emulates Intel TDX silicon for tests and for the emulator.
//
// A [Vendor] stands for Intel's certificate authorities and for the service that publishes
// collateral. Its [Platform]s have a PCK, an attestation key and security versions. They make
// quotes of a TD as Intel's quoting enclave does:
//
//	vendor, err := tdxtest.NewVendor(time.Now())
//	platform, err := vendor.NewPlatform(tdxtest.PlatformOptions{})
//	td := tdxtest.TD{ReportData: tdx.Bind(claims)}
//	raw, err := platform.Quote(td.Report(), tdxtest.QuoteOptions{Version: 5})
//	collateral, err := vendor.Collateral(platform, tdxtest.CollateralOptions{})
//
// The cryptography is real: a verifier with [Vendor.RootsPEM] as the Intel root verifies a
// quote as it verifies one of real hardware. No other verifier accepts it, because the keys are
// new each time and each certificate names the organisation TEST ONLY.
//
// It differs from Intel's silicon in that [Platform.Quote] does not check a TD report before it
// quotes it: see [Platform.Made]. The MAC of [TD.Report] is random.
//
// [Forgeries] and [CollateralForgeries] are quotes and collateral with one fault each, and the
// refusals that they must get. For other false quotes, certificates and collateral see the
// functions in the options.
package tdxtest
