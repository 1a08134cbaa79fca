// Package entra gets access tokens for a vault from Microsoft Entra ID.
//
// A [Source] is one identity of the pod: the workload identity if the webhook of Azure Workload Identity
// has set client, tenant and token file, otherwise a managed identity from the instance metadata service
// (IMDS):
//
//	source, err := entra.New(entra.Config{HTTP: login, IMDS: imds})
//	token, err := source.AccessToken(ctx, "https://vault.azure.net")
//
// [NewPerson] returns the Source of a credential of a person: see package login.
//
// MSAL implements the protocol. Every request goes through [httpclient.Client], which has limits and
// retries. Answers are recorded below MSAL, because the errors of MSAL quote whole answers, which must
// reach neither a caller nor the log.
//
// The package does not check tokens. A caller with an access token of its own does not need a Source.
//
// MSAL reads some environment variables, which no option prevents: IDENTITY_ENDPOINT, IMDS_ENDPOINT,
// MSI_ENDPOINT and related ones replace IMDS for a managed identity; AZURE_REGIONAL_AUTHORITY_NAME and
// MSAL_FORCE_REGION set a regional login host. The program removes them before it calls [New], and a
// request for a managed identity to another host than IMDS is refused. Config takes precedence over
// AZURE_AUTHORITY_HOST.
package entra

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"skr/internal/azure/httpclient"
	"skr/internal/crash"
	"skr/internal/refusal"
	"skr/internal/secmem"
	"skr/internal/singleflight"
)

const defaultTimeout = 30 * time.Second

// Config is the identity of a pod: a workload identity if ClientID, TenantID and one of TokenFile and
// Assertion are set, a managed identity if none of TenantID, TokenFile and Assertion is set. Other
// combinations are an error.
type Config struct {
	// ClientID is the client id of the application or of the user-assigned managed identity.
	// "" for a managed identity means the system-assigned one.
	ClientID string
	// TenantID is the tenant of the workload identity, a GUID or a domain name.
	TenantID string
	// TokenFile contains the token of the service account, which is the client assertion.
	TokenFile string
	// Assertion is the token of the service account itself, for a pod whose token comes from elsewhere
	// than a file. It replaces TokenFile.
	Assertion secmem.Text
	// AuthorityHost is the https URL of the login service; "" means that of the public cloud.
	AuthorityHost string
	// HTTP is the client of the login service.
	HTTP *httpclient.Client
	// IMDS is the client of 169.254.169.254: without a proxy, rewritten for an emulator, and
	// with [IMDSRetry].
	IMDS *httpclient.Client
	// Timeout limits one acquisition, for all callers that wait for it; 0 means 30 s.
	Timeout time.Duration
}

// Source returns access tokens of one identity. It is safe for concurrent use.
type Source struct {
	identity   identity
	credential azcore.TokenCredential
	tokens     tokens
	flights    singleflight.Group[string, secmem.Text] // by audience
}

// New returns the Source of the configured identity. It sends no request.
func New(c Config) (*Source, error) {
	id, err := newIdentity(c)
	if err != nil {
		return nil, err
	}
	credential, err := id.credential(c)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", id, err)
	}
	return &Source{
		identity: id, credential: credential,
		flights: singleflight.Group[string, secmem.Text]{Limit: cmp.Or(c.Timeout, defaultTimeout)},
	}, nil
}

// Person describes the credential of [NewPerson].
type Person struct {
	Kind, Provider, Advice string
	// Explain returns the error to use instead of an error of the credential, or nil.
	Explain func(error) error
	// Timeout limits one acquisition; 0 means 30 s.
	Timeout time.Duration
}

// NewPerson returns the Source of a credential of a person.
func NewPerson(p Person, credential azcore.TokenCredential) *Source {
	return &Source{
		identity: identity{
			kind: p.Kind, name: p.Kind, provider: p.Provider, advice: p.Advice,
			explain: p.Explain, rejected: refusal.ManagementRejected,
		},
		credential: credential,
		flights:    singleflight.Group[string, secmem.Text]{Limit: cmp.Or(p.Timeout, defaultTimeout)},
	}
}

// String returns "workload identity" or "managed identity".
func (s *Source) String() string { return s.identity.kind }

// LoginURL returns the login service of a workload identity, https://HOST/, or "" for a managed identity.
func (s *Source) LoginURL() string {
	if s.identity.login == nil {
		return ""
	}
	return s.identity.login.String()
}

// AccessToken returns a token for audience ("https://vault.azure.net"), cached until shortly before it
// expires. Equal concurrent calls share one request, which continues if one of them is cancelled.
//
// Its errors are [refusal.ReleaseRejected] if the identity provider refused, [refusal.Throttled],
// [refusal.Unavailable], [refusal.Untrusted] for an unusable answer, [refusal.Timeout] and, for a
// cancelled ctx, its error.
func (s *Source) AccessToken(ctx context.Context, audience string) (secmem.Text, error) {
	if token, found := s.tokens.get(audience); found {
		return token, nil
	}
	token, err := s.flights.Do(ctx, audience, func(ctx context.Context) (secmem.Text, error) { return s.acquire(ctx, audience) })
	return token, s.describe(err)
}

// describe adds to the error of a context, or to a panic of MSAL, what failed. Refusals already say it.
func (s *Source) describe(err error) error {
	_, crashed := errors.AsType[*crash.Error](err)
	switch {
	case crashed:
		return refusal.Because(refusal.Untrusted, s.identity.provider+" gave an answer that could not be read", err)
	case errors.Is(err, context.DeadlineExceeded):
		return refusal.Because(refusal.Timeout, "the deadline passed while waiting for an access token", err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("waiting for an access token: %w", err)
	}
	return err
}

// acquire gets a token from the credential, which may have it in its own cache.
func (s *Source) acquire(ctx context.Context, audience string) (secmem.Text, error) {
	ctx, last := withAnswer(ctx)
	got, err := s.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope(audience)}})
	if err != nil && last.err == nil && ctx.Err() != nil {
		return secmem.Text{}, ctx.Err() // it ended between two requests; the last answer is not the reason
	}
	if err != nil {
		return secmem.Text{}, s.identity.refuse(last, err)
	}
	if got.Token == "" {
		return secmem.Text{}, refusal.Newf(refusal.Untrusted, "%s answered without an access token", s.identity.provider)
	}
	return s.tokens.keep(audience, got), nil
}

// scope returns the scope of an audience for the v2.0 endpoint: the resource and "/.default"
// (Microsoft identity platform, "Scopes and permissions").
func scope(audience string) string { return strings.TrimSuffix(audience, "/") + "/.default" }
