package doctor

import (
	"strings"

	"skr/releasepolicy"
)

// fixes are by the end of the claim's name. The first that matches is used.
var fixes = []struct{ claim, fix string }{
	{"iss", "ask the authority that the key's policy names, or add this one to the policy"},
	{"hostdata", "the key is for another execution policy than the deployed one: `skrctl measure FILE` prints the hash of a policy; " +
		"deploy the one that the key is for, or change the key's policy"},
	{"is-debuggable", "deploy without debugging"},
	{"tdx_td_attributes_debug", "deploy without debugging"},
	{"attester_tcb_status", "the platform's patch level is another: move the machine to another host, or change the policy"},
	{"compliance-status", "give the utility VM endorsement (reference_info), and compare the policy with the platform's status: " +
		"azure-compliant-uvm on ACI, azure-signed-katacc-uvm on AKS, azure-compliant-cvm on confidential VMs"},
	{"attestation-type", "compare the policy with the platform: sevsnpvm on ACI and AKS, azurevm through the vTPM, " +
		"and below x-ms-isolation-tee sevsnpvm or tdxvm by the processor's vendor"},
	{"tdx_mrtd", "another paravisor runs than the policy is for: allow its MRTD, or better its compliance status"},
	{"launchmeasurement", "another utility VM runs than the policy is for: allow its measurement, or better its svn and compliance status"},
	{"svn", "the platform's patch level is another: wait for the host to be updated, or change the policy"},
	{"secureboot", "start the machine with secure boot"},
}

func fixOf(u releasepolicy.Outcome) string {
	for _, f := range fixes {
		if u.Claim == f.claim || strings.HasSuffix(u.Claim, "-"+f.claim) || strings.HasSuffix(u.Claim, "."+f.claim) {
			return f.fix
		}
	}
	return "compare the policy with the token: `skrctl policy explain` shows both"
}
