package outbound

import (
	"skr/internal/azure/entra"

	"skr/internal/config"
)

// Identity is who the pod is to a vault. From then on, this process hides from the
// libraries what would make them ask somebody else than the settings say.
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
