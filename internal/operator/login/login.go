// Package login gets access tokens for people and pipelines that manage keys.
//
//	source, err := login.New(entra.Config{HTTP: login, IMDS: imds})
//
// It uses the default credential of azidentity. The program in the pod does not link it.
package login

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"skr/internal/azure/entra"
	"skr/internal/secmem"
)

const person = "default credential"

// ErrNoIdentity is the error if no person is logged in and no identity is set up.
var ErrNoIdentity = errors.New("no identity was found here: log in with az login or azd auth login, " +
	"set AZURE_CLIENT_ID, AZURE_TENANT_ID and a secret or certificate, or pass --access-token-file")

// New returns a Source for a person or a pipeline that manages keys. It uses azidentity's
// DefaultAzureCredential, which tries the environment, workload identity, managed identity, and the logins
// of the Azure CLI, the Azure Developer CLI and Azure PowerShell. azidentity reads the AZURE_… variables,
// so only AuthorityHost, Timeout and the two clients of the Config have an effect.
//
// Its errors are those of [entra.Source.AccessToken], with [refusal.ManagementRejected] instead of
// [refusal.ReleaseRejected], and [ErrNoIdentity].
func New(c entra.Config) (*entra.Source, error) {
	credential, err := newPersonCredential(c)
	if err != nil {
		return nil, fmt.Errorf("preparing the %s: %w", person, err)
	}
	return entra.NewPerson(entra.Person{
		Kind: person, Provider: "Microsoft Entra ID", Timeout: c.Timeout, Explain: explain,
		Advice: "check who is logged in, with az account show, or pass --access-token-file",
	}, credential), nil
}

// explain returns ErrNoIdentity with the attempts, if no service refused.
func explain(err error) error {
	if _, asked := errors.AsType[*azidentity.AuthenticationFailedError](err); asked {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNoIdentity, attempts(err))
}

func newPersonCredential(c entra.Config) (azcore.TokenCredential, error) {
	if c.HTTP == nil || c.IMDS == nil {
		return nil, errors.New("no HTTP client for the login service or the instance metadata service")
	}
	authority, err := entra.ParseAuthority(c.AuthorityHost)
	if err != nil {
		return nil, err
	}
	options := azcore.ClientOptions{
		Retry:     policy.RetryOptions{MaxRetries: -1, TryTimeout: tryTimeout}, // -1 disables retries: httpclient retries
		Transport: entra.Recorded(byAddress{imds: c.IMDS.Transporter(), login: c.HTTP.Transporter()}),
	}
	options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: authority.String()}
	return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions:            options,
		DisableInstanceDiscovery: !entra.KnownLogin(authority.Hostname()), // like entra.New
	})
}

// tryTimeout replaces azidentity's timeout of a minute for IMDS, which is too short for an update. The
// context ends earlier.
const tryTimeout = time.Hour

// byAddress combines two transports, because azidentity accepts only one. Requests to the link-local
// address use no proxy.
type byAddress struct{ imds, login policy.Transporter }

var _ policy.Transporter = byAddress{}

const imdsAddress = "169.254.169.254"

// Do sends the request with the transport for its host.
func (t byAddress) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == imdsAddress {
		return t.imds.Do(r)
	}
	return t.login.Do(r)
}

// attempts returns azidentity's list of attempts in one line.
func attempts(err error) error {
	_, list, found := strings.Cut(err.Error(), "Attempted credentials:")
	if !found {
		return entra.Brief(err)
	}
	var tried []string
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); line != "" && len(tried) < maxAttempts {
			tried = append(tried, secmem.Excerpt(line, maxAttempt))
		}
	}
	return errors.New(strings.Join(tried, "; "))
}

const (
	maxAttempts = 12
	maxAttempt  = 120 // bytes of the text of an attempt
)
