package azuresdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// goClient makes calls with Azure's clients for Go and prints their rows.
type goClient struct {
	ctx     context.Context
	out     io.Writer
	version string // that the last call sent
}

var _ policy.Policy = (*goClient)(nil)

// Do keeps the api-version of a request.
func (c *goClient) Do(request *policy.Request) (*http.Response, error) {
	if version := request.Raw().URL.Query().Get("api-version"); version != "" {
		c.version = version
	}
	return request.Next()
}

// call prints the row of a call.
func (c *goClient) call(client, name string, run func() error) {
	c.version = ""
	result := "ok"
	if err := run(); err != nil {
		result = "failed"
		if refused, ok := errors.AsType[*azcore.ResponseError](err); ok {
			result = fmt.Sprintf("%d %s", refused.StatusCode, refused.ErrorCode)
		}
		fmt.Fprintf(os.Stderr, "%s: %s: %v\n", client, name, err)
	}
	_ = json.NewEncoder(c.out).Encode(row{client, name, c.version, result})
}

// that is an error unless it holds.
func that(holds bool, err error) error {
	if err == nil && !holds {
		return errors.New("the answer is wrong")
	}
	return err
}

// callWithGo is the client in Go.
func callWithGo(ctx context.Context, out io.Writer) error {
	c := &goClient{ctx: ctx, out: out}
	environment := make(map[string]string)
	for _, name := range []string{"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE",
		"AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_AUTHORITY_HOST"} {
		environment[name] = os.Getenv(name)
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	if err := c.credentials(environment); err != nil {
		return err
	}
	credential, err := azidentity.NewManagedIdentityCredential(nil)
	if err != nil {
		return err
	}
	if err := c.keys("Key Vault", "https://demo.vault.azure.net", credential); err != nil {
		return err
	}
	return c.keys("Managed HSM", "https://demo.managedhsm.azure.net", credential)
}

// credentials gets a token with each credential. Some read the environment.
func (c *goClient) credentials(environment map[string]string) error {
	tenant, client, secret := environment["AZURE_TENANT_ID"], environment["AZURE_CLIENT_ID"], environment["AZURE_CLIENT_SECRET"]
	file, object, resource := environment["AZURE_FEDERATED_TOKEN_FILE"], os.Getenv("OBJECT_ID"), os.Getenv("RESOURCE_ID")
	text, err := os.ReadFile(environment["AZURE_CLIENT_CERTIFICATE_PATH"])
	if err != nil {
		return err
	}
	certificates, key, err := azidentity.ParseCertificates(text, nil)
	if err != nil {
		return err
	}
	assertion := func(context.Context) (string, error) {
		text, err := os.ReadFile(file)
		return string(text), err
	}
	managed := func(id azidentity.ManagedIDKind) func() (azcore.TokenCredential, error) {
		return func() (azcore.TokenCredential, error) {
			return azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: id})
		}
	}
	fromEnvironment := func() (azcore.TokenCredential, error) { return azidentity.NewEnvironmentCredential(nil) }
	byDefault := func() (azcore.TokenCredential, error) { return azidentity.NewDefaultAzureCredential(nil) }
	for _, one := range []struct {
		name      string
		make      func() (azcore.TokenCredential, error)
		variables []string // without AZURE_
	}{
		{"ManagedIdentityCredential", managed(nil), nil},
		{"ManagedIdentityCredential, ClientID", managed(azidentity.ClientID(client)), nil},
		{"ManagedIdentityCredential, ObjectID", managed(azidentity.ObjectID(object)), nil},
		{"ManagedIdentityCredential, ResourceID", managed(azidentity.ResourceID(resource)), nil},
		{"ClientSecretCredential", func() (azcore.TokenCredential, error) {
			return azidentity.NewClientSecretCredential(tenant, client, secret, nil)
		}, nil},
		{"ClientAssertionCredential", func() (azcore.TokenCredential, error) {
			return azidentity.NewClientAssertionCredential(tenant, client, assertion, nil)
		}, nil},
		{"ClientCertificateCredential", func() (azcore.TokenCredential, error) {
			return azidentity.NewClientCertificateCredential(tenant, client, certificates, key, nil)
		}, nil},
		{"WorkloadIdentityCredential", func() (azcore.TokenCredential, error) {
			return azidentity.NewWorkloadIdentityCredential(nil)
		}, []string{"TENANT_ID", "CLIENT_ID", "FEDERATED_TOKEN_FILE", "AUTHORITY_HOST"}},
		{"EnvironmentCredential, secret", fromEnvironment, []string{"TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"}},
		{"EnvironmentCredential, certificate", fromEnvironment, []string{"TENANT_ID", "CLIENT_ID", "CLIENT_CERTIFICATE_PATH"}},
		{"DefaultAzureCredential, managed identity", byDefault, nil},
		{"DefaultAzureCredential, environment", byDefault, []string{"TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"}},
		{"DefaultAzureCredential, workload identity", byDefault, []string{"TENANT_ID", "CLIENT_ID", "FEDERATED_TOKEN_FILE", "AUTHORITY_HOST"}},
	} {
		c.call("azidentity", one.name, func() error {
			for _, name := range one.variables {
				_ = os.Setenv("AZURE_"+name, environment["AZURE_"+name]) // the names are right
				defer func() { _ = os.Unsetenv("AZURE_" + name) }()
			}
			credential, err := one.make()
			if err != nil {
				return err
			}
			token, err := credential.GetToken(c.ctx, policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
			return that(strings.Count(token.Token, ".") == 2, err)
		})
	}
	return nil
}
