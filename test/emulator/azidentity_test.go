package emulator_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/test/emulator"
)

// workloadCredential returns the credential of a pod with workload identity.
func workloadCredential(t *testing.T, c *emulator.Cloud, discovery bool) *azidentity.WorkloadIdentityCredential {
	t.Helper()
	environment, err := c.WorkloadIdentity()
	must(t, err)
	env := make(map[string]string)
	for _, line := range environment {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	credential, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Transport: c.HTTPClient(),
			Retry:     policy.RetryOptions{MaxRetries: -1},
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: env["AZURE_AUTHORITY_HOST"]},
		},
		ClientID:                 env["AZURE_CLIENT_ID"],
		TenantID:                 env["AZURE_TENANT_ID"],
		TokenFilePath:            env["AZURE_FEDERATED_TOKEN_FILE"],
		DisableInstanceDiscovery: !discovery,
	})
	must(t, err)
	return credential
}

// toIMDS sends requests for 169.254.169.254 to the emulator.
type toIMDS struct {
	cloud *emulator.Cloud
	base  *url.URL
}

func (r toIMDS) Do(request *http.Request) (*http.Response, error) {
	rewritten := request.Clone(request.Context())
	rewritten.URL.Scheme, rewritten.URL.Host, rewritten.Host = r.base.Scheme, r.base.Host, ""
	return r.cloud.HTTPClient().Do(rewritten)
}

func managedCredential(t *testing.T, c *emulator.Cloud, id azidentity.ManagedIDKind) *azidentity.ManagedIdentityCredential {
	t.Helper()
	credential, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Transport: toIMDS{c, parseURL(t, c.IMDSURL())},
			Retry:     policy.RetryOptions{MaxRetries: -1},
		},
		ID: id,
	})
	must(t, err)
	return credential
}

func TestAzidentity(t *testing.T) {
	c := start(t, emulator.Config{})
	resource := "https://" + strings.TrimPrefix(c.Host("x", "vault"), "x.")
	workload := c.Directory().Workload().AppID
	for _, test := range []struct {
		name       string
		credential azcore.TokenCredential
		want       string // the token's application; "" if it is refused
	}{
		{"workload identity", workloadCredential(t, c, false), workload},
		{"the system-assigned identity", managedCredential(t, c, nil), c.SystemIdentity().AppID},
		{"a user-assigned identity", managedCredential(t, c, azidentity.ClientID(workload)), workload},
		{"an unassigned identity", managedCredential(t, c, azidentity.ClientID("00000000-0000-0000-0000-000000000000")), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			token, err := test.credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
			if test.want == "" {
				if err == nil {
					t.Error("got a token")
				}
				return
			}
			must(t, err)
			who, err := c.Directory().VerifyAccessToken(token.Token, resource)
			must(t, err)
			if who.AppID != test.want {
				t.Errorf("the token is for %s, want %s", who.AppID, test.want)
			}
			if _, err := c.Directory().VerifyAccessToken(token.Token, "https://managedhsm.azure.net"); err == nil {
				t.Error("the token is valid for another resource")
			}
		})
	}
	t.Run("a resource that is not in the tenant", func(t *testing.T) {
		for _, credential := range []azcore.TokenCredential{workloadCredential(t, c, false), managedCredential(t, c, nil)} {
			if _, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://graph.microsoft.com/.default"}}); err == nil {
				t.Error("got a token")
			}
		}
	})
}

// TestAzidentityRealNames leaves instance discovery on: the host is Microsoft's
// own name.
func TestAzidentityRealNames(t *testing.T) {
	c := start(t, emulator.Config{ExtraHosts: []string{"login.microsoftonline.com", "demo.vault.azure.net"}})
	token, err := workloadCredential(t, c, true).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
	must(t, err)
	_, err = c.Directory().VerifyAccessToken(token.Token, "https://vault.azure.net/")
	must(t, err)
}

// TestKeyVaultSDK leaves the SDK's challenge verification on.
func TestKeyVaultSDK(t *testing.T) {
	c := start(t, emulator.Config{})
	policyText := policyFor(c, c.Machine().HostData())
	for _, service := range []string{"vault", "managedhsm"} {
		host := c.Host("demo", service)
		_, err := c.CreateKey(t.Context(), host, emulator.KeySpec{Name: "k"}, policyText)
		must(t, err)
		client, err := azkeys.NewClient("https://"+host, workloadCredential(t, c, false), &azkeys.ClientOptions{
			ClientOptions: azcore.ClientOptions{Transport: c.HTTPClient(), Retry: policy.RetryOptions{MaxRetries: -1}},
		})
		must(t, err)
		answer, err := client.GetKey(context.WithoutCancel(t.Context()), "k", "", nil)
		must(t, err)
		if answer.Attributes == nil || answer.Attributes.Exportable == nil || !*answer.Attributes.Exportable {
			t.Errorf("%s: the key is not exportable: %+v", service, answer.Attributes)
		}
	}
}
