package main

import (
	"fmt"

	"skr/attest/snp"
)

// releasePolicy lets a production container group with that execution policy
// have the key (Azure Key Vault, "Secure key release policy grammar").
func releasePolicy(authority string, hostData snp.HostData) []byte {
	return fmt.Appendf(nil, `{
  "version": "1.0.0",
  "anyOf": [{
    "authority": "https://%s",
    "allOf": [
      {"claim": "x-ms-attestation-type", "equals": "sevsnpvm"},
      {"claim": "x-ms-compliance-status", "equals": "azure-compliant-uvm"},
      {"claim": "x-ms-sevsnpvm-is-debuggable", "equals": "false"},
      {"claim": "x-ms-sevsnpvm-hostdata", "equals": "%s"}
    ]
  }]
}`, authority, hostData)
}
