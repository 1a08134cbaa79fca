package maa

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"skr/attest"
	"skr/internal/azure/endpoint"
	"skr/internal/jose/jwk"
	"skr/internal/strictjson"
)

// Where an instance publishes its signing keys (Azure REST API specification,
// attestation/data-plane: MetadataConfiguration_Get, SigningCertificates_Get).
const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/certs"
)

// fetcher fetches the signing keys of an authority over TLS.
type fetcher struct{ http sender }

// keySet asks the authority where its keys are and fetches them.
func (f fetcher) keySet(ctx context.Context, authority attest.Authority) (jwk.Set, error) {
	address, err := f.keysURL(ctx, authority)
	if err != nil {
		return jwk.Set{}, err
	}
	answer, err := f.get(ctx, authority, address)
	if err != nil {
		return jwk.Set{}, err
	}
	if answer.status != http.StatusOK {
		return jwk.Set{}, untrusted(authority, fmt.Sprintf("answered the request for its signing keys with status %d", answer.status), nil)
	}
	set, err := jwk.ParseSet(answer.body) // bounds the document at 1 MiB
	if err != nil {
		return jwk.Set{}, untrusted(authority, "its signing keys are malformed", err)
	}
	return set, nil
}

// keysURL returns the URL in the discovery document, or the documented path if the
// instance has no such document.
func (f fetcher) keysURL(ctx context.Context, authority attest.Authority) (string, error) {
	answer, err := f.get(ctx, authority, authority.Host().URL()+discoveryPath)
	if err != nil {
		return "", err
	}
	switch answer.status {
	case http.StatusOK:
		address, err := parseDiscovery(answer.body, authority.Host())
		if err != nil {
			return "", untrusted(authority, "its discovery document cannot be used", err)
		}
		return address, nil
	case http.StatusNotFound:
		return authority.Host().URL() + keysPath, nil
	default:
		return "", untrusted(authority, fmt.Sprintf("answered the request for its discovery document with status %d", answer.status), nil)
	}
}

// parseDiscovery returns jwks_uri, which must be on the allowed host, because an authority
// vouches only for its own keys. It does not compare the document's issuer, which some
// instances omit. The token's issuer is compared later.
func parseDiscovery(document []byte, host endpoint.Host) (string, error) {
	metadata, err := strictjson.Parse(document)
	if err != nil {
		return "", err
	}
	text, ok := metadata.Text("jwks_uri")
	if !ok {
		return "", errors.New("jwks_uri is missing")
	}
	address, err := url.Parse(text)
	if err != nil {
		return "", errors.New("jwks_uri is not a URL")
	}
	if address.Scheme != "https" || address.User != nil || address.Opaque != "" || address.Fragment != "" {
		return "", errors.New("jwks_uri is not a plain https URL")
	}
	if named, err := endpoint.ParseHost(address.Host); err != nil || named != host {
		return "", fmt.Errorf("jwks_uri is on host %.100q and not on %q", address.Host, host)
	}
	return address.String(), nil
}

func (f fetcher) get(ctx context.Context, authority attest.Authority, address string) (*answer, error) {
	return f.http.send(ctx, authority, http.MethodGet, address, http.Header{}, nil)
}
