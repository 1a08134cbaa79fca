package doctor

import (
	"strings"

	"skr/internal/refusal"
)

// fixes by the end of the claim's name; the first that fits is taken.
var fixes = []struct{ claim, fix string }{
	{"iss", "ask the authority that the key's policy names, or let the policy name this one"},
	{"hostdata", "another workload policy is deployed than the key is for: `skrctl policy measure FILE` prints the hash of one; deploy that one, or change the key's policy"},
	{"is-debuggable", "deploy without debugging"},
	{"compliance-status", "give the utility VM endorsement (reference_info), and compare the policy with the platform's status: azure-compliant-uvm on ACI, azure-signed-katacc-uvm on AKS, azure-compliant-cvm on confidential VMs"},
	{"attestation-type", "compare the policy with the platform: sevsnpvm on ACI and AKS, azurevm through the vTPM"},
	{"launchmeasurement", "another utility VM runs than the policy is for: allow its measurement, or better its svn and compliance status"},
	{"svn", "the platform's patch level is another: wait for the host to be updated, or change the policy"},
	{"secureboot", "start the machine with secure boot"},
}

func fixOf(u refusal.Unmet) string {
	for _, f := range fixes {
		if u.Claim == f.claim || strings.HasSuffix(u.Claim, "-"+f.claim) || strings.HasSuffix(u.Claim, "."+f.claim) {
			return f.fix
		}
	}
	return "compare the policy with the token: `skrctl policy explain` shows both"
}
