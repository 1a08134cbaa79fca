// Package vtpm reads and verifies the evidence of an Azure virtual machine that has
// a virtual TPM: a confidential VM, or one with Trusted Launch.
//
// A TPM keeps in its PCRs a hash chain over what was started, and its attestation
// key (AK) signs them together with a nonce: a [Quote]. What the chain was made of
// stands in the firmware's [EventLog], which nobody signs; it counts only where
// replaying it gives the quoted PCRs. Why the AK is that of Azure's TPM depends on
// the machine. On a confidential VM the paravisor (HCL) names the AK in claims whose
// hash the processor signed, the [HCLReport]. With Trusted Launch there is only the
// AK's certificate, see [Roots].
//
//	hcl, err := vtpm.ParseHCL(index)          // NV index 0x01400001
//	err = hcl.CheckBound()                    // package vcek verifies hcl.Report() itself
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
// Each step is a function of its own, because people who look for a fault want to
// know which one fails; all of them are needed. The package talks to no device, and
// does not judge which PCRs are good. What it verifies is the machine: any process
// that may use the TPM can have such evidence made.
//
// Structures are those of "TPM 2.0 Library", Part 2 (TPM2), and "TCG PC Client
// Platform Firmware Profile" 1.06 (PFP); the HCL report is that of microsoft/openvmm,
// openhcl_attestation_protocol, igvm_attest/get.rs.
package vtpm
