package hsm

import (
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/internal/secmem"
)

// Connection is how one identity speaks to one vault through the SDK.
type Connection struct {
	// Vault is the only host that the access token is sent to.
	Vault Vault
	// Access is a token for the vault's audience.
	Access secmem.Text
	// Transport carries the requests, bounded and retried: the SDK does neither.
	Transport policy.Transporter
	// APIVersion of the data plane; "" means 7.4.
	APIVersion string
}

// Open makes an SDK client, and asks nobody. The SDK keeps the access token
// inside its client, so a client that served two callers could show the token
// of one in the name of the other. Making one costs microseconds; what is
// worth keeping, the connections, belongs to the transport.
func (c Connection) Open() (*azkeys.Client, error) {
	version := c.APIVersion
	if version == "" {
		version = defaultAPIVersion
	}
	client, err := azkeys.NewClient(c.Vault.host.URL(), bearer{c.Access}, &azkeys.ClientOptions{
		ClientOptions: azcore.ClientOptions{
			APIVersion: version,
			Retry:      policy.RetryOptions{MaxRetries: -1}, // none: httpclient retries
			Telemetry:  policy.TelemetryOptions{Disabled: true},
			Transport:  vaultTransport{c.Vault, c.Transport},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("hsm: making the vault's client: %w", err)
	}
	return client, nil
}
