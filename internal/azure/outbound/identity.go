package outbound

import (
	"skr/internal/azure/entra"
	"skr/internal/config"
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
