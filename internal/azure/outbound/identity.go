package outbound

import (
	"skr/internal/azure/entra"
	"skr/internal/config"
	"skr/internal/secmem"
)

// Identity returns the identity of the pod for a vault. It removes the variables that would make libraries
// use other services than the settings name.
func Identity(s *config.Settings, out *Clients) (*entra.Source, error) {
	if err := s.CheckWorkload(); err != nil {
		return nil, err
	}
	config.HideSteering()
	return entra.New(entra.Config{
		ClientID: s.ClientID, TenantID: s.TenantID, TokenFile: s.FederatedTokenFile, AuthorityHost: s.AuthorityHost,
		HTTP: out.Entra, IMDS: out.IMDS, Timeout: s.RequestTimeout,
	})
}

// PodIdentity returns the workload identity of another pod, whose service account token is given. It shares
// no cache of tokens with any other identity.
func PodIdentity(s *config.Settings, out *Clients, clientID, tenantID string, token secmem.Text) (*entra.Source, error) {
	config.HideSteering()
	return entra.New(entra.Config{
		ClientID: clientID, TenantID: tenantID, Assertion: token, AuthorityHost: s.AuthorityHost, HTTP: out.Entra, Timeout: s.RequestTimeout,
	})
}
