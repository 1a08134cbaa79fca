package diagnosis

import (
	"testing"

	"github.com/google/go-tpm/tpm2"

	"skr/test/emulator"
)

// akCertificateIndex is the index that Azure uses (microsoft/openvmm, vm/devices/tpm/tpm_lib).
const akCertificateIndex tpm2.TPMHandle = 0x01C101D0

// tpmFails adds a machine whose TPM answers a command with the code; 0 means every command.
func tpmFails(name string, config emulator.MachineConfig, command tpm2.TPMCC, result tpm2.TPMRC) func(*testing.T, *ward, *situation) {
	return vm(name, with(config, func(c *emulator.MachineConfig) {
		c.TPMFault = func(code tpm2.TPMCC, _, _ tpm2.TPMHandle) tpm2.TPMRC {
			if command == 0 || code == command {
				return result
			}
			return tpm2.TPMRCSuccess
		}
	}), azureVM)
}

// indexFails adds a machine whose TPM answers commands for an index with the code.
func indexFails(name string, config emulator.MachineConfig, index tpm2.TPMHandle, result tpm2.TPMRC) func(*testing.T, *ward, *situation) {
	return vm(name, with(config, func(c *emulator.MachineConfig) {
		c.TPMFault = func(code tpm2.TPMCC, first, second tpm2.TPMHandle) tpm2.TPMRC {
			reads := code == tpm2.TPMCCNVRead && second == index
			if reads || code == tpm2.TPMCCNVReadPublic && first == index && result == tpm2.TPMRCHandle {
				return result
			}
			return tpm2.TPMRCSuccess
		}
	}), azureVM)
}

// tpmFaults: each code has its own advice.
var tpmFaults = []misconfiguration{
	{name: "the TPM is locked after wrong passwords", wrong: tpmFails("vm-lockout", cvm, 0, tpm2.TPMRCLockout),
		check: "report-source", words: "locked after wrong passwords", fix: "reset the lock", exit: 5},
	{name: "the TPM of a Trusted Launch machine is locked after wrong passwords", wrong: tpmFails("tl-lockout", tl, 0, tpm2.TPMRCLockout),
		check: "report-source", words: "locked after wrong passwords", fix: "reset the lock", exit: 5},
	{name: "other programs hold the TPM's memory for keys", wrong: tpmFails("vm-memory", cvm, tpm2.TPMCCCreatePrimary, tpm2.TPMRCObjectMemory),
		check: "report", words: "serves other requests of this node", fix: "/dev/tpmrm0", exit: 4},
	{name: "other programs hold all of the TPM's keys", wrong: tpmFails("vm-handles", cvm, tpm2.TPMCCCreatePrimary, tpm2.TPMRCObjectHandles),
		check: "report", words: "serves other requests of this node", fix: "/dev/tpmrm0", exit: 4},
	{name: "the TPM's owner has a password", wrong: indexFails("vm-password", cvm, hclIndex, tpm2.TPMRCBadAuth),
		check: "report-source", words: "the TPM's owner has a password", fix: "owner has a password", exit: 5},
	{name: "the TPM's owner has a password, and wrong attempts count", wrong: tpmFails("vm-counted", cvm, tpm2.TPMCCNVDefineSpace, tpm2.TPMRCAuthFail),
		check: "report-source", words: "the TPM's owner has a password", fix: "owner has a password", exit: 5},
	{name: "the index of the paravisor's report is locked", wrong: indexFails("vm-locked", cvm, hclIndex, tpm2.TPMRCNVLocked),
		check: "report-source", words: "TPM2_NV_Read", fix: "locked until the TPM restarts", exit: 5},
	{name: "the index of the paravisor's report was defined by another party", wrong: indexFails("vm-foreign", cvm, hclIndex, tpm2.TPMRCNVAuthorization),
		check: "report-source", words: "TPM2_NV_Read", fix: "not as Azure's firmware sets them up", exit: 5},
	{name: "the TPM is in failure mode", wrong: tpmFails("vm-failure", cvm, 0, tpm2.TPMRCFailure),
		check: "report-source", words: "failure mode", fix: "restart the machine", exit: 5},
	{name: "the TPM was not started", wrong: tpmFails("vm-unstarted", cvm, 0, tpm2.TPMRCInitialize),
		check: "report-source", words: "was not started", fix: "the firmware, or the emulator, must do it", exit: 5},
	{name: "the agent that lends the TPM has another version", wrong: tpmFails("vm-agent", cvm, tpm2.TPMCCNVRead, tpm2.TPMRCCommandCode),
		check: "report-source", words: "the agent does not lend it", fix: "an agent of the same version", exit: 5},
	{name: "a command of the TPM is disabled", wrong: tpmFails("vm-disabled", cvm, tpm2.TPMCCQuote, tpm2.TPMRCDisabled),
		check: "report", words: "TPM2_Quote", fix: "have the machine redeployed", exit: 5},
	{name: "the TPM's firmware is being upgraded", wrong: tpmFails("vm-upgrade", cvm, 0, tpm2.TPMRCUpgrade),
		check: "report-source", words: "firmware is being upgraded", fix: "when the machine has restarted", exit: 5},
	{name: "the TPM requires a restart", wrong: tpmFails("vm-reboot", cvm, 0, tpm2.TPMRCReboot),
		check: "report-source", words: "wants the machine restarted", fix: "wants the machine restarted", exit: 5},
	{name: "the owner's hierarchy of the TPM is switched off", wrong: tpmFails("vm-hierarchy", cvm, tpm2.TPMCCNVDefineSpace, tpm2.TPMRCHierarchy),
		check: "report-source", words: "hierarchy is switched off", fix: "must switch it on", exit: 5},
	{name: "the TPM's permanent memory is full", wrong: tpmFails("vm-full", cvm, tpm2.TPMCCNVDefineSpace, tpm2.TPMRCNVSpace),
		check: "report-source", words: "permanent memory is full", fix: "remove indices", exit: 5},
	{name: "the TPM's permanent memory is written too often", wrong: tpmFails("vm-rate", cvm, tpm2.TPMCCNVWrite, tpm2.TPMRCNVRate),
		check: "report-source", words: "serves other requests of this node", fix: "limits how often it is written", exit: 4},
	{name: "the machine has no attestation key", wrong: tpmFails("vm-keyless", cvm, tpm2.TPMCCReadPublic, tpm2.TPMRCHandle),
		check: "report-source", words: "TPM2_ReadPublic", fix: "no attestation key", exit: 5},
	{name: "the certificate of the attestation key does not exist yet", wrong: indexFails("tl-uncertified", tl, akCertificateIndex, tpm2.TPMRCHandle),
		check: "report", words: "no certificate for its attestation key yet", fix: "wait until Azure has finished", exit: 5},
	{name: "the AK's certificate is not written yet", wrong: indexFails("tl-unwritten", tl, akCertificateIndex, tpm2.TPMRCNVUninitialized),
		check: "report", words: "no certificate for its attestation key yet", fix: "let Azure finish setting the machine up", exit: 5},
	{name: "`tpm` does not name a TPM", wrong: vm("vm-file", cvm, azureVM, "SKR_TPM=/etc/passwd"),
		check: "report-source", words: "it is not a device", fix: "let the container use", exit: 5},
}
