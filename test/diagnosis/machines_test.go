package diagnosis

import (
	"testing"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/snp"
	"skr/attest/tdx"
	"skr/test/emulator"
	"skr/test/swtpm"
)

// vm adds a virtual machine that requests a key with these conditions. Its name begins with
// the name of its platform.
func vm(name string, config emulator.MachineConfig, conditions string, more ...string) func(*testing.T, *ward, *situation) {
	return func(t *testing.T, w *ward, s *situation) {
		swtpm.Need(t)
		machine(name, config)(t, w, s)
		condition(conditions)(t, w, s)
		env(more...)(t, w, s)
	}
}

const (
	azureVM  = `{"claim":"x-ms-attestation-type","equals":"azurevm"}`
	secure   = `{"claim":"secureboot","equals":"true"}`
	isolated = `{"claim":"x-ms-isolation-tee.x-ms-compliance-status","equals":"azure-compliant-cvm"}`
)

var (
	cvm = emulator.MachineConfig{Platform: emulator.ConfidentialVM}
	td  = emulator.MachineConfig{Platform: emulator.TDX}
	tl  = emulator.MachineConfig{Platform: emulator.TrustedLaunch}
)

func with(config emulator.MachineConfig, change func(*emulator.MachineConfig)) emulator.MachineConfig {
	change(&config)
	return config
}

// hclIndex is the index of the paravisor's report (microsoft/openvmm, vm/devices/tpm/tpm_lib).
const hclIndex tpm2.TPMHandle = 0x01400001

// failing returns a confidential VM whose TPM answers each read of the index with the code.
// If the index is 0, the TPM answers every command with it.
func failing(index tpm2.TPMHandle, result tpm2.TPMRC) emulator.MachineConfig {
	return with(cvm, func(c *emulator.MachineConfig) {
		c.TPMFault = func(code tpm2.TPMCC, _, second tpm2.TPMHandle) tpm2.TPMRC {
			if index == 0 || code == tpm2.TPMCCNVRead && second == index {
				return result
			}
			return tpm2.TPMRCSuccess
		}
	})
}

// virtualMachines are faults of virtual machines, in the order of a release.
var virtualMachines = []misconfiguration{
	{name: "the pod does not see the node's TPM", wrong: vm("vm-blind", cvm, azureVM, "SKR_TPM=/nonexistent/tpm"),
		check: "report-source", words: "no virtual TPM", exit: 5},
	{name: "the index of the paravisor's report is defined, and cannot be read", wrong: vm("vm-unwritten", failing(hclIndex, tpm2.TPMRCNVUninitialized), azureVM),
		check: "report-source", words: "0x14a", exit: 5},
	{name: "the node's TPM is always busy", wrong: vm("vm-busy", failing(0, tpm2.TPMRCRetry), azureVM),
		check: "report-source", words: "serves other requests of this node", exit: 4},
	{name: "the AMD roots do not match a confidential VM's processor", wrong: vm("vm-silicon", cvm, azureVM, "SKR_AMD_ROOTS="),
		check: "report", words: "no certificate chain", exit: 5},
	{name: "the TPM of a Trusted Launch machine is not Azure's", wrong: vm("tl-roots", tl, azureVM, "SKR_AK_ROOTS="),
		check: "report", words: "verifying the AK certificate", exit: 5},
	{name: "the node's event log is not mounted", wrong: vm("vm-unlogged", cvm, secure, "SKR_EVENT_LOG=/nonexistent/log"),
		check: "measured-boot", words: "there is no event log", warning: true, exit: 3, claim: "secureboot"},
	{name: "the node's event log cannot be read", wrong: vm("tl-unread", tl, secure, "SKR_EVENT_LOG=/proc"),
		check: "measured-boot", words: "the event log cannot be read", warning: true, exit: 3, claim: "secureboot"},
	{name: "the node's event log is another file", wrong: vm("vm-mislogged", cvm, secure, "SKR_EVENT_LOG=/etc/passwd"),
		check: "measured-boot", words: "parsing the event log", warning: true, exit: 3, claim: "secureboot"},
	{name: "the event log does not explain what was started",
		wrong: vm("vm-false", with(cvm, func(c *emulator.MachineConfig) { c.EventLog = emulator.FalseLog }), azureVM),
		check: "measured-boot", words: "the log does not match: PCR 4", warning: true, exit: 3},
	{name: "the machine was started without secure boot",
		wrong: vm("vm-insecure", with(cvm, func(c *emulator.MachineConfig) { c.SecureBootOff = true }), secure),
		check: "measured-boot", words: "secure boot is off", warning: true, exit: 3, claim: "secureboot"},
	{name: "the authority does not know a CVM's firmware",
		wrong: vm("vm-firmware", with(cvm, func(c *emulator.MachineConfig) { c.Unendorsed, c.Report.Measurement = true, snp.Measurement{1} }), isolated),
		check: "attestation", words: "without a compliance status", warning: true, exit: 3, claim: "x-ms-isolation-tee.x-ms-compliance-status"},
	{name: "the host of a TDX machine refuses the content type", fault: emulator.ServiceQuote + ":status=415", wrong: vm("td-type", td, azureVM),
		check: "report-source", words: "answered with status 415", fix: "only Azure's host answers", exit: 5},
	{name: "imds_url leads to no host of TDX machines", fault: emulator.ServiceQuote + ":status=404", wrong: vm("td-route", td, azureVM),
		check: "report-source", words: "answered with status 404", fix: "check imds_url", exit: 5},
	{name: "the host's quote service fails", fault: emulator.ServiceQuote + ":status=500", wrong: vm("td-failing", td, azureVM),
		check: "report-source", words: "the host's TDX quote service", exit: 4},
	{name: "a TDX machine runs with debugging",
		wrong: vm("td-debug", with(td, func(c *emulator.MachineConfig) { c.TD.Attributes = new(tdx.Attributes(1)) }), azureVM),
		check: "report-source", words: "the host may debug the TD", fix: "deploy the machine without debugging", exit: 5},
	{name: "the Intel roots do not match a TDX machine's platform", wrong: vm("td-silicon", td, azureVM, "SKR_INTEL_ROOTS="),
		check: "report-source", words: "not among the trusted Intel roots", fix: "intel_roots", exit: 5},
	{name: "tcb_status demands collateral of TDX, and there are no sources", wrong: vm("td-sources", td, azureVM, "SKR_TCB_STATUS=UpToDate"),
		check: "report", words: "there are no sources", fix: "set collateral_sources", exit: 5},
	{name: "the collateral of TDX cannot be had", wrong: vm("td-collateral", td, azureVM, "SKR_COLLATERAL_SOURCES=/nonexistent/collateral.json"),
		check: "tcb", words: "/nonexistent/collateral.json", fix: "see which of collateral_sources failed", warning: true, exit: 0},
	{name: "the policy of a TDX machine is for SEV-SNP", wrong: vm("td-vendor", td, `{"claim":"x-ms-isolation-tee.x-ms-attestation-type","equals":"sevsnpvm"}`),
		check: "release-policy", words: `"tdxvm"`, exit: 3, claim: "x-ms-isolation-tee.x-ms-attestation-type"},
	{name: "the policy of a virtual machine has the claims of a container",
		wrong: vm("vm-claims", cvm, `{"claim":"x-ms-sevsnpvm-is-debuggable","equals":"false"}`),
		check: "release-policy", words: "there is no such claim", exit: 3, claim: "x-ms-sevsnpvm-is-debuggable"},
	{name: "the policy requires a confidential VM, not Trusted Launch", wrong: vm("tl-isolated", tl, isolated),
		check: "release-policy", words: "there is no such claim", exit: 3, claim: "x-ms-isolation-tee.x-ms-compliance-status"},
}
