package main

import (
	"fmt"

	"skr/attest/snp"
	"skr/test/emulator"
)

// platform is what an emulated pod runs on.
type platform struct {
	feed       string // of its utility VM's endorsement
	compliance string // what the authority makes of that
}

var platforms = map[string]platform{
	aci:        {emulator.FeedACI, "azure-compliant-uvm"},
	"aks-kata": {emulator.FeedKata, "azure-signed-katacc-uvm"},
}

const aci = "aci"

// releasePolicy lets a production container group with that execution policy
// have the key (Azure Key Vault, "Secure key release policy grammar").
func (p platform) releasePolicy(authority string, hostData snp.HostData) []byte {
	return fmt.Appendf(nil, `{
  "version": "1.0.0",
  "anyOf": [{
    "authority": "https://%s",
    "allOf": [
      {"claim": "x-ms-attestation-type", "equals": "sevsnpvm"},
      {"claim": "x-ms-compliance-status", "equals": "%s"},
      {"claim": "x-ms-sevsnpvm-is-debuggable", "equals": "false"},
      {"claim": "x-ms-sevsnpvm-hostdata", "equals": "%s"}
    ]
  }]
}`, authority, p.compliance, hostData)
}
