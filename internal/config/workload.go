package config

import (
	"fmt"
	"strings"
)

// Part is a part of an identity: a setting and the variable that sets it in a pod.
type Part struct{ Field, Variable, Value, Advice string }

func (p Part) name() string {
	if p.Field == p.Variable {
		return p.Field
	}
	return p.Field + " (" + p.Variable + ")"
}

// workload returns the parts of a workload identity, all of which are required. The webhook of Azure
// Workload Identity injects them (azure-workload-identity, "Mutating Admission Webhook").
func (s *Settings) workload() []Part {
	return []Part{
		{"client_id", "AZURE_CLIENT_ID", s.ClientID,
			"annotate the pod's service account with azure.workload.identity/client-id and make the pod anew, or set client_id"},
		{"tenant_id", "AZURE_TENANT_ID", s.TenantID,
			"annotate the pod's service account with azure.workload.identity/client-id, let the webhook inject the variable, or set tenant_id"},
		{"federated_token_file", "AZURE_FEDERATED_TOKEN_FILE", s.FederatedTokenFile,
			`annotate the pod's service account with azure.workload.identity/client-id and label the pod azure.workload.identity/use: "true"; ` +
				"for a managed identity leave tenant_id (AZURE_TENANT_ID) out; skr takes no client secret"},
	}
}

// CheckWorkload refuses an incomplete workload identity: the pod would use another identity. A client
// id alone names a managed identity.
func (s *Settings) CheckWorkload() error {
	if s.TenantID == "" && s.FederatedTokenFile == "" {
		return nil
	}
	return Complete("a workload identity", s.workload())
}

// Complete returns an error if a part is missing. It names the first missing part and those that are
// present.
func Complete(whole string, parts []Part) error {
	var present []string
	var missing *Part
	for i, p := range parts {
		switch {
		case p.Value != "":
			present = append(present, p.name())
		case missing == nil:
			missing = &parts[i]
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s: %s is missing, which %s needs together with %s, and no other identity is used instead: %s",
		missing.Field, missing.Variable, whole, strings.Join(present, " and "), missing.Advice)
}
