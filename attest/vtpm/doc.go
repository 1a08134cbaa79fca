// Package vtpm parses and verifies the evidence of an Azure virtual machine that has a
// virtual TPM: a confidential VM, or one with Trusted Launch.
//
// The PCRs of a TPM contain a hash chain over what was started. The TPM's attestation key
// (AK) signs them together with a nonce: a [Quote]. The firmware's [EventLog] lists what was
// hashed. It is not signed, and counts only if replaying it leads to the quoted PCRs. The
// proof that the AK belongs to Azure's TPM depends on the machine. On a confidential VM, the
// paravisor (HCL) names the AK in claims whose hash the processor signed: the [HCLReport].
// With Trusted Launch there is only the AK's certificate: see [Roots].
//
//	hcl, err := vtpm.ParseHCL(index)          // NV index 0x01400001
//	err = hcl.CheckBound()                    // package vcek verifies hcl.Report() itself, package tdx the quote of hcl.TDReport()
//	ak, err := hcl.Claims().AK()
//	quote, err := vtpm.ParseQuote(attest)
//	err = quote.VerifySignature(ak)
//	err = quote.CheckNonce(nonce)
//	err = quote.CheckSelection(selection)
//	err = quote.CheckPCRs(pcrs)
//	log, err := vtpm.ParseEventLog(file)
//	err = log.Explain(pcrs, selection)
//	state, err := log.SecureBoot()            // means nothing before Explain has PCR 7
//
// All steps are needed. Each is a function of its own, so that tools can show which one
// fails. The package accesses no device, and does not judge which PCRs are acceptable. The
// evidence identifies the machine: any process that may use the TPM can produce it.
//
// Structures follow "TPM 2.0 Library", Part 2 (TPM2), and "TCG PC Client Platform Firmware
// Profile" 1.06 (PFP). The HCL report follows microsoft/openvmm,
// openhcl_attestation_protocol, igvm_attest/get.rs.
package vtpm
