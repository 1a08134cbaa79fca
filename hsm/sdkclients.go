package hsm

import (
	"context"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/internal/cache"
	"skr/internal/secmem"
)

// maxSDKClients bounds those that are kept for one caller: an allow-list with a wildcard
// lets callers name any number of vaults.
const maxSDKClients = 64

// sdkClients keeps one for each vault; from its second request on, it knows the
// audience. All callers share it: it has no access token, and each request brings its
// own in the context.
type sdkClients struct {
	transport  policy.Transporter
	apiVersion string

	mu   sync.Mutex
	kept *cache.Cache[Vault, *azkeys.Client]
}

func newSDKClients(transport policy.Transporter, apiVersion string) *sdkClients {
	return &sdkClients{transport: transport, apiVersion: apiVersion, kept: cache.New[Vault, *azkeys.Client](maxSDKClients)}
}

func (c *sdkClients) of(ctx context.Context, vault Vault) (*azkeys.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client, found := c.kept.Get(cache.Caller(ctx), vault); found {
		return client, nil
	}
	client, err := open(vaultTransport{vault, c.transport, accessFrom}, c.apiVersion)
	if err != nil {
		return nil, err
	}
	c.kept.Put(cache.Caller(ctx), vault, client)
	return client, nil
}

type accessKey struct{}

func withAccess(ctx context.Context, access secmem.Text) context.Context {
	return context.WithValue(ctx, accessKey{}, access)
}

// accessFrom is zero, which the transport refuses, where nobody has put a token.
func accessFrom(ctx context.Context) secmem.Text {
	access, _ := ctx.Value(accessKey{}).(secmem.Text)
	return access
}
