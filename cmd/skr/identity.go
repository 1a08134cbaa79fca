package main

import (
	"fmt"
	"strings"

	"skr/internal/azure/entra"
)

// identity is who the pod is to a vault. From then on, this process hides from the
// libraries what would make them ask somebody else than the settings say.
func (s *settings) identity(out *outbound) (*entra.Source, error) {
	if err := s.checkWorkload(); err != nil {
		return nil, err
	}
	hideSteering()
	return entra.New(entra.Config{
		ClientID: s.ClientID, TenantID: s.TenantID, TokenFile: s.FederatedTokenFile, AuthorityHost: s.AuthorityHost,
		HTTP: out.entra, IMDS: out.imds, Timeout: s.RequestTimeout,
	})
}

// person is who manages keys. Where skr's own settings name an identity, that is
// meant and no other; AZURE_… variables are azidentity's to read.
func (s *settings) person(env environment, out *outbound) (*entra.Source, error) {
	if s.ClientID != env["AZURE_CLIENT_ID"] || s.TenantID != env["AZURE_TENANT_ID"] ||
		s.FederatedTokenFile != env["AZURE_FEDERATED_TOKEN_FILE"] {
		return s.identity(out)
	}
	if err := s.checkPerson(env); err != nil {
		return nil, err
	}
	return entra.NewPerson(entra.Config{AuthorityHost: s.AuthorityHost, HTTP: out.entra, IMDS: out.imds})
}

// part of an identity: a setting and the variable that sets it in a pod.
type part struct{ field, variable, value, advice string }

func (p part) name() string {
	if p.field == p.variable {
		return p.field
	}
	return p.field + " (" + p.variable + ")"
}

// workload identity needs all three, which the webhook of Azure Workload Identity
// injects (azure-workload-identity, "Mutating Admission Webhook").
func (s *settings) workload() []part {
	return []part{
		{"client_id", "AZURE_CLIENT_ID", s.ClientID,
			"annotate the pod's service account with azure.workload.identity/client-id and make the pod anew, or set client_id"},
		{"tenant_id", "AZURE_TENANT_ID", s.TenantID,
			"annotate the pod's service account with azure.workload.identity/client-id, let the webhook inject the variable, or set tenant_id"},
		{"federated_token_file", "AZURE_FEDERATED_TOKEN_FILE", s.FederatedTokenFile,
			`annotate the pod's service account with azure.workload.identity/client-id and label the pod azure.workload.identity/use: "true"; ` +
				"for a managed identity leave tenant_id (AZURE_TENANT_ID) out; skr takes no client secret"},
	}
}

// checkWorkload refuses a part of a workload identity: without the rest, the pod would
// be another identity. A client id alone names a managed identity.
func (s *settings) checkWorkload() error {
	if s.TenantID == "" && s.FederatedTokenFile == "" {
		return nil
	}
	return complete("a workload identity", s.workload())
}

// checkPerson refuses the same of what azidentity reads at a desk, where it would go on
// to the next identity without a word.
func (s *settings) checkPerson(env environment) error {
	if s.FederatedTokenFile != "" {
		return s.checkWorkload()
	}
	for _, proof := range []string{"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"} {
		if env[proof] == "" {
			continue
		}
		const advice = "set it, or unset the rest"
		return complete("a service principal", []part{
			{proof, proof, "set", ""},
			{"client_id", "AZURE_CLIENT_ID", s.ClientID, advice},
			{"tenant_id", "AZURE_TENANT_ID", s.TenantID, advice},
		})
	}
	return nil
}

// complete names the first part that is missing, and those that are there.
func complete(whole string, parts []part) error {
	var present []string
	var missing *part
	for i, p := range parts {
		switch {
		case p.value != "":
			present = append(present, p.name())
		case missing == nil:
			missing = &parts[i]
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s: %s is missing, which %s needs together with %s, and another identity is not taken in its place: %s",
		missing.field, missing.variable, whole, strings.Join(present, " and "), missing.advice)
}
