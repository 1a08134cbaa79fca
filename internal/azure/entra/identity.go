package entra

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"skr/internal/azure/httpclient"
	"skr/internal/refusal"
)

const (
	workload = "workload identity"
	managed  = "managed identity"
)

// identity describes an identity for errors and advice.
type identity struct {
	kind     string // workload or managed
	name     string // `workload identity with client id "…"`
	provider string // the service that issues tokens
	advice   string // what to do after a refusal

	explain   func(error) error // for a person, returns the error to use or nil; nil for a pod
	rejected  *refusal.Kind     // kind of a refusal
	tokenFile string            // of a workload identity; "" if its token comes from elsewhere
	login     *url.URL          // its login service
}

func (id identity) String() string { return id.name }

func newIdentity(c Config) (identity, error) {
	if c.TenantID != "" || c.TokenFile != "" || !c.Assertion.IsZero() {
		if c.ClientID == "" || c.TenantID == "" || (c.TokenFile == "") == c.Assertion.IsZero() {
			return identity{}, errors.New("a workload identity needs a client id, a tenant and a token file, or the token itself")
		}
		if c.HTTP == nil {
			return identity{}, errors.New("no HTTP client for the login service")
		}
		login, err := ParseAuthority(c.AuthorityHost)
		if err != nil {
			return identity{}, err
		}
		advice := "add a federated credential for the pod's service account to that identity"
		if c.Assertion.IsZero() {
			advice += ", or pass access_token"
		}
		return identity{
			kind:     workload,
			name:     fmt.Sprintf("%s with client id %q", workload, c.ClientID),
			provider: "Microsoft Entra ID",
			advice:   advice,

			rejected:  refusal.ReleaseRejected,
			tokenFile: c.TokenFile, login: login,
		}, nil
	}
	if c.IMDS == nil {
		return identity{}, errors.New("no HTTP client for the instance metadata service")
	}
	return identity{
		kind:     managed,
		name:     managedName(c.ClientID),
		provider: "the instance metadata service",
		advice:   "assign that identity to the pod's container group or virtual machine, or pass access_token",
		rejected: refusal.ReleaseRejected,
	}, nil
}

func managedName(clientID string) string {
	if clientID == "" {
		return "system-assigned " + managed
	}
	return fmt.Sprintf("user-assigned %s with client id %q", managed, clientID)
}

func (id identity) credential(c Config) (azcore.TokenCredential, error) {
	if id.kind == workload {
		return newWorkload(c, id.login)
	}
	return newManaged(c)
}

// imdsAddress is the link-local address of the instance metadata service.
const imdsAddress = "169.254.169.254"

// onlyIMDS refuses requests to other services, which variables of the environment or files of an Azure Arc
// agent may cause.
type onlyIMDS struct{ next policy.Transporter }

var _ policy.Transporter = onlyIMDS{}

// Do sends the request if its host is IMDS.
func (t onlyIMDS) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() != imdsAddress {
		return nil, errElsewhere
	}
	return t.next.Do(r)
}

var errElsewhere = errors.New("the environment names another service for managed identities than the instance metadata service: " +
	"unset IDENTITY_ENDPOINT, IDENTITY_HEADER, IDENTITY_SERVER_THUMBPRINT, IMDS_ENDPOINT and MSI_ENDPOINT")

// IMDSRetry returns the retries of azidentity for the instance metadata service (azidentity,
// managed_identity_client.go, setIMDSRetryOptionDefaults), which httpclient makes instead: 404 and 410
// during an update of the service, and every 5xx. Updates take up to 70 s, in practice up to three
// minutes.
func IMDSRetry() httpclient.Retry {
	return httpclient.Retry{
		Cap: 25 * time.Second, Patience: 3*time.Minute + 30*time.Second,
		Also: []int{
			http.StatusNotFound, http.StatusGone, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported,
			http.StatusVariantAlsoNegotiates, http.StatusInsufficientStorage, http.StatusLoopDetected,
			http.StatusNotExtended, http.StatusNetworkAuthenticationRequired,
		},
	}
}

// loginHosts are the hosts of Microsoft in the public and the sovereign clouds (Microsoft
// identity platform, "National clouds"; instance discovery metadata of
// https://login.microsoftonline.com/common/discovery/instance).
var loginHosts = []string{
	"login.microsoftonline.com",
	"login.microsoft.com",
	"login.windows.net",
	"sts.windows.net",
	"login.microsoftonline.us",
	"login-us.microsoftonline.com",
	"login.usgovcloudapi.net",
	"login.partner.microsoftonline.cn",
	"login.chinacloudapi.cn",
	"login.microsoftonline.de",
	"login.sovcloud-identity.fr",
	"login.sovcloud-identity.de",
	"login.sovcloud-identity.sg",
}

// KnownLogin reports whether the host is one of Microsoft's login services.
func KnownLogin(host string) bool { return slices.Contains(loginHosts, host) }

// ParseAuthority parses the URL of a login service, which must have only https and a host.
func ParseAuthority(text string) (*url.URL, error) {
	u, err := url.Parse(cmp.Or(text, cloud.AzurePublic.ActiveDirectoryAuthorityHost))
	switch {
	case err != nil:
		return nil, fmt.Errorf("authority host %q is not a URL", text)
	case u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("authority host %q is not an https URL", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("authority host %q is more than https:// and a host", u.Redacted())
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: "/"}, nil
}
