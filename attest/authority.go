package attest

import (
	"fmt"
	"strings"

	"skr/internal/azure/endpoint"
	"skr/internal/refusal"
)

// Authority is an MAA instance that the configuration allows. Only Authorities.Parse
// makes one. It is comparable.
type Authority struct{ host endpoint.Host }

// Host returns the host of the instance.
func (a Authority) Host() endpoint.Host { return a.host }

// Issuer returns the iss claim of the instance's tokens, which is also the authority in
// release policies: the URL without a trailing slash.
func (a Authority) Issuer() string { return a.host.URL() }

// String returns the host.
func (a Authority) String() string { return a.host.String() }

// Authorities is the allow-list of MAA instances.
type Authorities struct{ patterns []endpoint.Pattern }

// DefaultAuthorities returns entries for all instances of MAA in the public cloud and in
// the clouds of the US government and China ("Compare Azure Government and global Azure",
// "Azure in China developer guide": endpoints).
func DefaultAuthorities() []string {
	return []string{"*.attest.azure.net", "*.attest.azure.us", "*.attest.azure.cn"}
}

// ParseAuthorities parses allow-list entries: a host, or "*." and a host. It allows a port
// only if the entry has it.
func ParseAuthorities(patterns []string) (*Authorities, error) {
	var a Authorities
	for _, text := range patterns {
		pattern, err := endpoint.ParsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("parsing the allowed authorities: %w", err)
		}
		a.patterns = append(a.patterns, pattern)
	}
	return &a, nil
}

// Parse parses the name of an MAA instance in a request. The error wraps
// refusal.BadRequest if it is not a host, and refusal.EndpointNotAllowed if no entry of
// the list allows it.
func (a *Authorities) Parse(text string) (Authority, error) {
	if text == "" {
		return Authority{}, refusal.Newf(refusal.BadRequest,
			"MAA endpoint: it is missing; name the host of an attestation service, such as sharedeus.eus.attest.azure.net")
	}
	host, err := endpoint.ParseHost(text)
	if err != nil {
		return Authority{}, refusal.Newf(refusal.BadRequest, "MAA endpoint: %s", err)
	}
	for _, pattern := range a.patterns {
		if pattern.Matches(host) {
			return Authority{host}, nil
		}
	}
	return Authority{}, refusal.Newf(refusal.EndpointNotAllowed,
		"MAA endpoint %q is not among the allowed ones (%s); maa_allow in the configuration lists them", host, a)
}

// String lists the entries.
func (a *Authorities) String() string {
	texts := make([]string, 0, len(a.patterns))
	for _, pattern := range a.patterns {
		texts = append(texts, pattern.String())
	}
	return strings.Join(texts, ", ")
}
