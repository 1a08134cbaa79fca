// Package tdx parses and verifies the evidence of an Intel TDX virtual machine (a trust
// domain, TD).
//
// The processor makes a [Report], TDREPORT_STRUCT, which carries a MAC that only the same
// processor can check. Intel's quoting enclave (QE) on the host checks the MAC and signs the
// content: a [Quote]. The quote carries its own certificates. Four signatures lead from
// Intel's root to the TD: the root certifies the platform's authority, that one the
// platform's provisioning certification key (PCK), the PCK signs the report of the quoting
// enclave, and that report names the attestation key, which signs the quote:
//
//	quote, err := tdx.ParseQuote(raw)
//	result, err := quote.Verify(tdx.Verification{ReportData: tdx.Bind(claims), Now: time.Now()})
//	fmt.Println(quote.MRTD(), result.Level, result.NotLookedAt)
//
// Whether the platform's firmware is new enough, and whether a key was revoked, is in
// Intel's [Collateral], which does not come with the quote: see [Source]. A [Policy] says
// whether a quote without it is an error.
//
// On Azure a quote binds the paravisor's claims, with the TPM's attestation key among them.
// Its RTMRs are zero, because the guest is measured in the TPM: see package vtpm.
//
// The package does not judge what was launched: compare MRTD with a value that you accept.
// It accesses no device. On Azure the TD report comes from the TPM, and a [Host] quotes it.
//
// Structures follow "Intel TDX DCAP: Quote Generation Library and Quote Verification
// Library", revision 0.9, appendix A.3 (DCAP), and "Intel TDX Module v1.5 ABI
// Specification", 348551 (ABI). Integers are little-endian unless noted otherwise.
package tdx
