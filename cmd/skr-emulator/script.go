package main

import (
	"skr/test/emulator"
)

// script is the text of the demonstration on one platform.
type script struct {
	silicon  string   // the machine's root of trust
	bound    []string // what the key is bound to
	place    string   // where skr runs
	evidence string   // what skr verifies before it contacts any service
	stranger emulator.MachineConfig
	// refused is the title of the refusal; strange describes how the second
	// machine differs.
	refused string
	strange func(*emulator.Machine) string
	moral   string
	// token shows an attestation token first.
	token bool
}

var scripts = map[emulator.Platform]script{
	emulator.ACI:     podScript("azure-compliant-uvm"),
	emulator.AKSKata: podScript("azure-signed-katacc-uvm"),
	emulator.ConfidentialVM: vmScript(
		"silicon      an emulated AMD processor, a paravisor and a TPM (swtpm); certificates lead to TEST ONLY roots",
		"report, certificates, quote"),
	emulator.TDX: vmScript(
		"silicon      an emulated Intel platform with TDX, a paravisor and a TPM (swtpm); certificates lead to TEST ONLY roots",
		"quotes of processor and TPM, certificates"),
	emulator.TrustedLaunch: {
		silicon: "TPM          emulated (swtpm); its certificate leads to a TEST ONLY root; no confidential hardware",
		bound: []string{
			"the one machine with this identifier, started with secure boot",
			"(UNCONFIRMED: that Azure's vaults accept tokens of Trusted Launch)",
		},
		place:    "In the machine",
		evidence: "quote",
		refused:  "Another Trusted Launch VM asks for the same key",
		strange:  func(m *emulator.Machine) string { return "vmid         " + m.TPM().VMID() },
		moral:    "The key was released to the machine that it is bound to, and to no other.",
		token:    true,
	},
}

// vmScript returns the script for confidential VMs.
func vmScript(silicon, evidence string) script {
	return script{
		silicon: silicon,
		bound: []string{
			"a machine that the authority reports as azure-compliant-cvm, not debuggable, started with",
			"secure boot",
		},
		place:    "In the machine",
		evidence: evidence,
		stranger: emulator.MachineConfig{SecureBootOff: true},
		refused:  "A confidential VM that was started without secure boot asks for the same key",
		strange:  func(*emulator.Machine) string { return "secureboot   false" },
		moral:    "The key was released to the machine that started as required, and to no other.",
	}
}

// podScript returns the script for pods in a utility VM with the compliance
// status.
func podScript(compliance string) script {
	return script{
		silicon: "silicon      an emulated AMD processor; reports are signed, certificates lead to a TEST ONLY root",
		bound: []string{
			"a machine that the authority reports as " + compliance + ", not debuggable, whose HOST_DATA",
			"is the hash of the pod's execution policy",
		},
		place:    "In the pod",
		evidence: "report, certificates",
		stranger: emulator.MachineConfig{Policy: strangerPolicy},
		refused:  "Another pod, with another execution policy, asks for the same key",
		strange:  func(m *emulator.Machine) string { return "HOST_DATA    " + m.HostData().String() },
		moral:    "The key was released to the pod that it is bound to, and to no other.",
	}
}
