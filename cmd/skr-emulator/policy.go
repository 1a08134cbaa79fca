package main

import (
	"encoding/json"
	"fmt"

	"skr/test/emulator"
)

// condition is one claim of a release policy.
type condition struct {
	Claim  string `json:"claim"`
	Equals string `json:"equals"`
}

// conditions returns conditions that the machine meets and no other kind of
// machine does.
func conditions(m *emulator.Machine) []condition {
	switch m.Platform() {
	case emulator.ConfidentialVM:
		return []condition{
			{"x-ms-isolation-tee.x-ms-attestation-type", "sevsnpvm"},
			{"x-ms-isolation-tee.x-ms-compliance-status", "azure-compliant-cvm"},
			{"x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable", "false"},
			{"secureboot", "true"},
		}
	case emulator.TDX:
		return []condition{
			{"x-ms-isolation-tee.x-ms-attestation-type", "tdxvm"},
			{"x-ms-isolation-tee.x-ms-compliance-status", "azure-compliant-cvm"},
			{"x-ms-isolation-tee.tdx_td_attributes_debug", "false"},
			{"secureboot", "true"},
		}
	case emulator.TrustedLaunch:
		return []condition{
			{"x-ms-attestation-type", "azurevm"},
			{"secureboot", "true"},
			{"x-ms-azurevm-vmid", m.TPM().VMID()},
		}
	}
	compliance := "azure-compliant-uvm"
	if m.Platform() == emulator.AKSKata {
		compliance = "azure-signed-katacc-uvm"
	}
	return []condition{
		{"x-ms-attestation-type", "sevsnpvm"},
		{"x-ms-compliance-status", compliance},
		{"x-ms-sevsnpvm-is-debuggable", "false"},
		{"x-ms-sevsnpvm-hostdata", m.HostData().String()},
	}
}

// releasePolicy returns a policy that releases the key to the machine and to
// others like it (Azure Key Vault, "Secure key release policy grammar").
func releasePolicy(authority string, m *emulator.Machine) ([]byte, error) {
	type branch struct {
		Authority string      `json:"authority"`
		AllOf     []condition `json:"allOf"`
	}
	policy, err := json.Marshal(struct {
		Version string   `json:"version"`
		AnyOf   []branch `json:"anyOf"`
	}{"1.0.0", []branch{{"https://" + authority, conditions(m)}}})
	if err != nil {
		return nil, fmt.Errorf("writing a release policy: %w", err)
	}
	return policy, nil
}
