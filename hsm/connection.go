package hsm

import (
	"cmp"
	"context"
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

// Open makes an SDK client, and asks nobody.
func (c Connection) Open() (*azkeys.Client, error) {
	return open(vaultTransport{c.Vault, c.Transport, func(context.Context) secmem.Text { return c.Access }}, c.APIVersion)
}

func open(transport vaultTransport, version string) (*azkeys.Client, error) {
	client, err := azkeys.NewClient(transport.vault.host.URL(), placeholder{}, &azkeys.ClientOptions{
		ClientOptions: azcore.ClientOptions{
			APIVersion: cmp.Or(version, defaultAPIVersion),
			Retry:      policy.RetryOptions{MaxRetries: -1}, // none: httpclient retries
			Telemetry:  policy.TelemetryOptions{Disabled: true},
			Transport:  transport,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the vault's client: %w", err)
	}
	return client, nil
}
