package entra

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
)

// The two identities of a pod use MSAL without azidentity, whose package also contains logins of people,
// which start a browser and command line programs.

// workloadCredential exchanges the token of the service account (Microsoft identity platform,
// "Access token request with a federated credential").
type workloadCredential struct{ client confidential.Client }

var _ azcore.TokenCredential = workloadCredential{}

// tenantID matches tenants, which become part of the path of the login service.
var tenantID = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)

func newWorkload(c Config, login *url.URL) (azcore.TokenCredential, error) {
	if !tenantID.MatchString(c.TenantID) {
		return nil, fmt.Errorf("tenant %q is neither a GUID nor a domain name", c.TenantID)
	}
	assertion := confidential.NewCredFromAssertionCallback(func(context.Context, confidential.AssertionRequestOptions) (string, error) {
		return c.assertion()
	})
	client, err := confidential.New(login.JoinPath(c.TenantID).String(), c.ClientID, assertion,
		confidential.WithHTTPClient(doer{Recorded(c.HTTP.Transporter())}),
		// Discovery asks the public cloud whether a host belongs to Microsoft, which does not
		// know private login hosts.
		confidential.WithInstanceDiscovery(KnownLogin(login.Hostname())))
	return workloadCredential{client}, err
}

// assertion returns the token of the service account. Kubelet renews the file, so it is read each time.
func (c Config) assertion() (string, error) {
	if !c.Assertion.IsZero() {
		return c.Assertion.Reveal(), nil
	}
	token, err := os.ReadFile(c.TokenFile)
	return string(token), err
}

// GetToken prefers the cache of MSAL, which drops a token five minutes before it expires.
func (w workloadCredential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	got, err := w.client.AcquireTokenSilent(ctx, o.Scopes)
	if err != nil {
		got, err = w.client.AcquireTokenByCredential(ctx, o.Scopes)
	}
	return azcore.AccessToken{Token: got.AccessToken, ExpiresOn: got.ExpiresOn, RefreshOn: got.Metadata.RefreshOn}, err
}

// managedCredential gets tokens from the instance metadata service.
type managedCredential struct{ client managedidentity.Client }

var _ azcore.TokenCredential = managedCredential{}

func newManaged(c Config) (azcore.TokenCredential, error) {
	id := managedidentity.SystemAssigned()
	if c.ClientID != "" {
		id = managedidentity.UserAssignedClientID(c.ClientID)
	}
	client, err := managedidentity.New(id, managedidentity.WithRetryPolicyDisabled(), // httpclient retries
		managedidentity.WithHTTPClient(doer{onlyIMDS{Recorded(c.IMDS.Transporter())}}))
	return managedCredential{client}, err
}

// GetToken requests a token for the resource, which is the scope without "/.default".
func (m managedCredential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	got, err := m.client.AcquireToken(ctx, o.Scopes[0])
	return azcore.AccessToken{Token: got.AccessToken, ExpiresOn: got.ExpiresOn, RefreshOn: got.Metadata.RefreshOn}, err
}

// doer adapts a transport for MSAL.
type doer struct{ policy.Transporter }

// CloseIdleConnections does nothing, because the program owns the transport.
func (doer) CloseIdleConnections() {}

// Do sends the request.
func (d doer) Do(r *http.Request) (*http.Response, error) { return d.Transporter.Do(r) }
