// Package entra gets access tokens for a vault from Microsoft Entra ID.
//
// A [Source] is one identity of the pod. It is the workload identity where the
// webhook of Azure Workload Identity has set client, tenant and token file, and
// otherwise a managed identity, asked of the instance metadata service (IMDS):
//
//	source, err := entra.New(entra.Config{HTTP: login, IMDS: imds})
//	token, err := source.AccessToken(ctx, "https://vault.azure.net")
//
// [NewPerson] makes the Source of a credential that is not a pod's: see package login.
//
// The protocol is MSAL's; every request goes through
// [httpclient.Client], which owns bounds and retries. Answers are
// recorded below MSAL, because MSAL's errors quote whole answers
// and must reach neither a caller nor the log.
//
// The package does not judge tokens, and takes none from the request: a caller
// with an access token of its own does not need a Source.
//
// MSAL reads some environment variables itself, and no option stops
// it: IDENTITY_ENDPOINT, IMDS_ENDPOINT and MSI_ENDPOINT with their companions move a
// managed identity away from IMDS, AZURE_REGIONAL_AUTHORITY_NAME and MSAL_FORCE_REGION
// name a regional login host. The program hides them before it calls [New]; a request
// to another host than IMDS is refused. AZURE_AUTHORITY_HOST they would read too, but
// Config wins.
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

// Config says who the pod is: a workload identity if ClientID, TenantID and TokenFile
// are set, a managed identity if neither TenantID nor TokenFile is. Anything between is
// an error.
type Config struct {
	// ClientID of the application or of the user-assigned managed identity.
	// "" with managed identity means the system-assigned one.
	ClientID string
	// TenantID of the workload identity, a GUID or a domain name.
	TenantID string
	// TokenFile holds the service account's token, which is the client assertion.
	TokenFile string
	// AuthorityHost is the https URL of the login service; "" means the public cloud's.
	AuthorityHost string
	// HTTP speaks to the login service.
	HTTP *httpclient.Client
	// IMDS speaks to 169.254.169.254: without a proxy, rewritten for an emulator, and
	// with [IMDSRetry].
	IMDS *httpclient.Client
	// Timeout bounds one acquisition, however many callers wait for it; 0 means 30 s.
	Timeout time.Duration
}

// Source gives access tokens of one identity. It is safe for concurrent use.
type Source struct {
	identity   identity
	credential azcore.TokenCredential
	tokens     tokens
	flights    singleflight.Group[string, secmem.Text] // by audience
}

// New chooses the identity. It sends no request.
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

// Person says whose credential a Source of [NewPerson] has.
type Person struct {
	Kind, Provider, Advice string
	// Explain returns the error in place of one of the credential's, or nil.
	Explain func(error) error
	// Timeout bounds one acquisition; 0 means 30 s.
	Timeout time.Duration
}

// NewPerson makes the Source of a credential that is not a pod's.
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

// String is "workload identity" or "managed identity".
func (s *Source) String() string { return s.identity.kind }

// LoginURL is the login service that a workload identity asks, https://HOST/; ""
// for a managed identity.
func (s *Source) LoginURL() string {
	if s.identity.login == nil {
		return ""
	}
	return s.identity.login.String()
}

// AccessToken for audience ("https://vault.azure.net"), cached until shortly
// before it expires. Equal concurrent calls ask once, and one caller's end does
// not end the others' request.
//
// Its errors: [refusal.ReleaseRejected] where the identity provider said no,
// [refusal.Throttled], [refusal.Unavailable], [refusal.Untrusted] for an
// unusable answer, [refusal.Timeout] and, for a cancelled ctx, its error.
func (s *Source) AccessToken(ctx context.Context, audience string) (secmem.Text, error) {
	if token, found := s.tokens.of(audience); found {
		return token, nil
	}
	token, err := s.flights.Do(ctx, audience, func(ctx context.Context) (secmem.Text, error) { return s.acquire(ctx, audience) })
	return token, s.named(err)
}

// named says what a context that ended, or azidentity's panic, was about.
// Refusals know it.
func (s *Source) named(err error) error {
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

// acquire asks azidentity, which may answer from its own cache.
func (s *Source) acquire(ctx context.Context, audience string) (secmem.Text, error) {
	ctx, seen := withAnswer(ctx)
	got, err := s.credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope(audience)}})
	if err != nil && seen.err == nil && ctx.Err() != nil {
		return secmem.Text{}, ctx.Err() // azidentity gave up between two requests; the last answer is not its reason
	}
	if err != nil {
		return secmem.Text{}, s.identity.refuse(seen, err)
	}
	if got.Token == "" {
		return secmem.Text{}, refusal.Newf(refusal.Untrusted, "%s answered without an access token", s.identity.provider)
	}
	return s.tokens.keep(audience, got), nil
}

// scope of an audience, as the v2.0 endpoint wants it: the resource and "/.default"
// (Microsoft identity platform, "Scopes and permissions").
func scope(audience string) string { return strings.TrimSuffix(audience, "/") + "/.default" }
