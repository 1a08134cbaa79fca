package login

import (
	"skr/internal/azure/entra"
	"skr/internal/azure/outbound"
	"skr/internal/config"
)

// Operator returns the identity that manages keys. If settings of skr name one, it uses only
// that. Otherwise azidentity reads the AZURE_… variables.
func Operator(s *config.Settings, env config.Environment, out *outbound.Clients) (*entra.Source, error) {
	if s.ClientID != env["AZURE_CLIENT_ID"] || s.TenantID != env["AZURE_TENANT_ID"] ||
		s.FederatedTokenFile != env["AZURE_FEDERATED_TOKEN_FILE"] {
		return outbound.Identity(s, out)
	}
	if err := checkOperator(s, env); err != nil {
		return nil, err
	}
	return New(entra.Config{AuthorityHost: s.AuthorityHost, HTTP: out.Entra, IMDS: out.IMDS})
}

// checkOperator refuses incomplete identities, for which azidentity would silently use the next one.
func checkOperator(s *config.Settings, env config.Environment) error {
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
