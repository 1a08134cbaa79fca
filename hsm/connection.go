package hsm

import (
	"cmp"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/internal/secmem"
)

// Connection describes a client of the SDK for one vault and one access token.
type Connection struct {
	// Vault is the only host that receives the access token.
	Vault Vault
	// Access is an access token for the vault's audience.
	Access secmem.Text
	// Transport sends the requests, with bounds and retries, which the SDK does not have.
	Transport policy.Transporter
	// APIVersion of the data plane; "" means 7.4.
	APIVersion string
}

// Open returns a client of the SDK. It sends no request.
func (c Connection) Open() (*azkeys.Client, error) {
	client, err := azkeys.NewClient(c.Vault.host.URL(), placeholder{}, &azkeys.ClientOptions{
		ClientOptions: azcore.ClientOptions{
			APIVersion: cmp.Or(c.APIVersion, defaultAPIVersion),
			Retry:      policy.RetryOptions{MaxRetries: -1}, // none: httpclient retries
			Telemetry:  policy.TelemetryOptions{Disabled: true},
			Transport:  vaultTransport{c.Vault, c.Access, c.Transport},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the vault's client: %w", err)
	}
	return client, nil
}
