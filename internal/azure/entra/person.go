package entra

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/singleflight"
)

const person = "default credential"

// ErrNoIdentity is the error if no person is logged in and no identity is set up.
var ErrNoIdentity = errors.New("no identity was found here: log in with az login or azd auth login, " +
	"set AZURE_CLIENT_ID, AZURE_TENANT_ID and a secret or certificate, or pass --access-token-file")

// NewPerson makes a Source for a person or a pipeline that manages keys:
// azidentity's DefaultAzureCredential, which tries the environment, workload
// identity, managed identity, and the logins of the Azure CLI, the Azure
// Developer CLI and Azure PowerShell. It reads AZURE_… variables itself, so of the
// Config only AuthorityHost, Timeout and the two clients count.
//
// Its errors are those of [Source.AccessToken], but for
// [refusal.ManagementRejected] in place of [refusal.ReleaseRejected], and
// [ErrNoIdentity].
func NewPerson(c Config) (*Source, error) {
	credential, err := newPersonCredential(c)
	if err != nil {
		return nil, fmt.Errorf("preparing the %s: %w", person, err)
	}
	return &Source{
		identity: identity{
			kind: person, name: person, provider: "Microsoft Entra ID", rejected: refusal.ManagementRejected,
			advice: "check who is logged in, with az account show, or pass --access-token-file",
		},
		credential: credential,
		flights:    singleflight.Group[string, secmem.Text]{Limit: cmp.Or(c.Timeout, defaultTimeout)},
	}, nil
}

func newPersonCredential(c Config) (azcore.TokenCredential, error) {
	if c.HTTP == nil || c.IMDS == nil {
		return nil, errors.New("no HTTP client for the login service, or none for the instance metadata service")
	}
	authority, err := parseAuthority(c.AuthorityHost)
	if err != nil {
		return nil, err
	}
	options := clientOptions(c.HTTP)
	options.Transport = recorder{byAddress{imds: c.IMDS.Transporter(), login: c.HTTP.Transporter()}}
	options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: authority.String()}
	return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions:            options,
		DisableInstanceDiscovery: !slices.Contains(loginHosts, authority.Hostname()), // as newWorkload
	})
}

// byAddress is one transport for azidentity's chain, which takes no two: what is
// for the link goes out without a proxy.
type byAddress struct{ imds, login policy.Transporter }

var _ policy.Transporter = byAddress{}

const imdsAddress = "169.254.169.254"

// Do chooses by the host.
func (t byAddress) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == imdsAddress {
		return t.imds.Do(r)
	}
	return t.login.Do(r)
}

// attempts is the chain's list of what was tried, in one line.
func attempts(err error) error {
	_, list, found := strings.Cut(err.Error(), "Attempted credentials:")
	if !found {
		return brief(err)
	}
	var tried []string
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); line != "" && len(tried) < maxAttempts {
			tried = append(tried, secmem.Excerpt(line, maxBrief/2))
		}
	}
	return errors.New(strings.Join(tried, "; "))
}

const maxAttempts = 12
