// Package login gets access tokens for people and pipelines that manage keys.
//
//	source, err := login.New(entra.Config{HTTP: login, IMDS: imds})
//
// It is azidentity's default credential. The program in the pod does not link it.
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

// New makes a Source for a person or a pipeline that manages keys:
// azidentity's DefaultAzureCredential, which tries the environment, workload
// identity, managed identity, and the logins of the Azure CLI, the Azure
// Developer CLI and Azure PowerShell. It reads AZURE_… variables itself, so of the
// Config only AuthorityHost, Timeout and the two clients count.
//
// Its errors are those of [Source.AccessToken], but for
// [refusal.ManagementRejected] in place of [refusal.ReleaseRejected], and
// [ErrNoIdentity].
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

// explain returns ErrNoIdentity with what was tried, if no service was asked.
func explain(err error) error {
	if _, asked := errors.AsType[*azidentity.AuthenticationFailedError](err); asked {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNoIdentity, attempts(err))
}

func newPersonCredential(c entra.Config) (azcore.TokenCredential, error) {
	if c.HTTP == nil || c.IMDS == nil {
		return nil, errors.New("no HTTP client for the login service, or none for the instance metadata service")
	}
	authority, err := entra.ParseAuthority(c.AuthorityHost)
	if err != nil {
		return nil, err
	}
	options := azcore.ClientOptions{
		Retry:     policy.RetryOptions{MaxRetries: -1, TryTimeout: tryTimeout}, // -1 is none: httpclient retries
		Transport: entra.Recorded(byAddress{imds: c.IMDS.Transporter(), login: c.HTTP.Transporter()}),
	}
	options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: authority.String()}
	return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
		ClientOptions:            options,
		DisableInstanceDiscovery: !entra.KnownLogin(authority.Hostname()), // as newWorkload
	})
}

// tryTimeout takes the place of azidentity's minute for IMDS, in which an update may not
// end. The context ends before it.
const tryTimeout = time.Hour

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
	maxAttempt  = 120 // bytes of its text
)
