package vcek

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"skr/attest/snp"
)

// thimSource is Azure's Trusted Hardware Identity Management, which nodes offer at a
// link-local address.
type thimSource struct {
	client    HTTPClient
	url, from string
}

// NewTHIMSource returns a source that asks url, such as
// http://169.254.169.254/metadata/THIM/amd/certification. from names what leads there if
// there are several places; it may be empty.
func NewTHIMSource(client HTTPClient, url, from string) Source {
	return &thimSource{client, url, from}
}

// NewUnusableTHIMSource returns a source that always fails, because from leads to no place.
func NewUnusableTHIMSource(from string, cause error) Source {
	return &unusableSource{thimName(from), &unusableError{fmt.Errorf("no address: %w", cause)}}
}

func thimName(from string) string {
	if from == "" {
		return "THIM"
	}
	return "THIM (" + from + ")"
}

// String implements [Source].
func (s *thimSource) String() string { return thimName(s.from) }

// Chain implements [Source]. THIM serves the chain of the node's current TCB. A report
// from before or after an update, or of another kind of key, needs a query.
func (s *thimSource) Chain(ctx context.Context, wanted Wanted) (*Chain, error) {
	chain, err := s.get(ctx, nil)
	if err != nil {
		return nil, err
	}
	if snp.NewTCB(wanted.TCB.Raw(), chain.Product()).Components() == chain.endorsed.levels && wanted.Signer == chain.endorsed.kind {
		return chain, nil
	}
	return s.get(ctx, wanted.query(chain.Product()))
}

// query asks THIM for a VCEK as CCF does (github.com/microsoft/CCF,
// make_thim_endorsements_server). The query for a VLEK also has the product
// (microsoft/archived-confidential-sidecar-containers, issue 31).
func (w Wanted) query(product snp.Product) url.Values {
	query := url.Values{"tcbVersion": {w.TCB.Hex()}}
	if !w.Chip.IsZero() {
		query.Set("platformId", w.Chip.String())
	}
	if w.Signer == snp.VLEK {
		query.Set("productName", product.String())
	}
	return query
}

func (s *thimSource) get(ctx context.Context, query url.Values) (*Chain, error) {
	target, err := url.Parse(s.url)
	if err != nil {
		return nil, errors.New("the URL of THIM is malformed")
	}
	all := target.Query()
	maps.Copy(all, query)
	target.RawQuery = all.Encode()
	document, err := fetch(ctx, s.client, target.String(), http.Header{"Metadata": {"true"}})
	if err != nil {
		return nil, err
	}
	return ParseTHIM(document)
}

// azureCacheSource is Azure's public cache of AMD's certificates.
type azureCacheSource struct {
	client      HTTPClient
	base, query string
}

// NewAzureCacheSource returns a source that asks below base, usually
// https://global.acccache.azure.net/SevSnpVM/certificates. apiVersion and clientID are
// query parameters ("api-version=2020-10-15-preview", "clientId=…") and may be empty.
func NewAzureCacheSource(client HTTPClient, base, apiVersion, clientID string) Source {
	query := strings.Trim(apiVersion+"&"+clientID, "&")
	if query != "" {
		query = "?" + query
	}
	return &azureCacheSource{client, strings.TrimSuffix(base, "/"), query}
}

// String implements [Source].
func (s *azureCacheSource) String() string { return "Azure certificate cache" }

// Chain implements [Source]. The path contains the TCB as a hex number without leading
// zeros.
func (s *azureCacheSource) Chain(ctx context.Context, wanted Wanted) (*Chain, error) {
	address := s.base + "/" + wanted.Chip.String() + "/" + strconv.FormatUint(wanted.TCB.Raw(), 16) + s.query
	document, err := fetch(ctx, s.client, address, nil)
	if err != nil {
		return nil, err
	}
	return ParsePEM(document)
}
