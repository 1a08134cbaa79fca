package main

import (
	"skr/internal/azure/entra"
	"skr/internal/operator/login"

	"skr/internal/azure/outbound"
	"skr/internal/config"
)

// person is who manages keys. Where skr's own settings name an identity, that is
// meant and no other; AZURE_… variables are azidentity's to read.
func person(s *config.Settings, env config.Environment, out *outbound.Clients) (*entra.Source, error) {
	if s.ClientID != env["AZURE_CLIENT_ID"] || s.TenantID != env["AZURE_TENANT_ID"] ||
		s.FederatedTokenFile != env["AZURE_FEDERATED_TOKEN_FILE"] {
		return outbound.Identity(s, out)
	}
	if err := checkPerson(s, env); err != nil {
		return nil, err
	}
	return login.New(entra.Config{AuthorityHost: s.AuthorityHost, HTTP: out.Entra, IMDS: out.IMDS})
}

// checkPerson refuses the same of what azidentity reads at a desk, where it would go on
// to the next identity without a word.
func checkPerson(s *config.Settings, env config.Environment) error {
	if s.FederatedTokenFile != "" {
		return s.CheckWorkload()
	}
	for _, proof := range []string{"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"} {
		if env[proof] == "" {
			continue
		}
		const advice = "set it, or unset the rest"
		return config.Complete("a service principal", []config.Part{
			{Field: proof, Variable: proof, Value: "set"},
			{Field: "client_id", Variable: "AZURE_CLIENT_ID", Value: s.ClientID, Advice: advice},
			{Field: "tenant_id", Variable: "AZURE_TENANT_ID", Value: s.TenantID, Advice: advice},
		})
	}
	return nil
}
