package vcek

import (
	"context"
	"errors"
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
	client HTTPClient
	url    string
}

// NewTHIMSource returns a source that asks url, such as
// http://169.254.169.254/metadata/THIM/amd/certification.
func NewTHIMSource(client HTTPClient, url string) Source {
	return &thimSource{client, url}
}

// String implements [Source].
func (s *thimSource) String() string { return "THIM" }

// Chain implements [Source]. THIM serves the chain of the node's current TCB. A report
// from before or after an update needs the query that CCF uses
// (github.com/microsoft/CCF, make_thim_endorsements_server).
func (s *thimSource) Chain(ctx context.Context, chip snp.ChipID, tcb snp.TCB) (*Chain, error) {
	chain, err := s.get(ctx, nil)
	if err != nil {
		return nil, err
	}
	if snp.NewTCB(tcb.Raw(), chain.Product()).Components() == chain.endorsed.levels {
		return chain, nil
	}
	return s.get(ctx, url.Values{"tcbVersion": {tcb.Hex()}, "platformId": {chip.String()}})
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
func (s *azureCacheSource) Chain(ctx context.Context, chip snp.ChipID, tcb snp.TCB) (*Chain, error) {
	address := s.base + "/" + chip.String() + "/" + strconv.FormatUint(tcb.Raw(), 16) + s.query
	document, err := fetch(ctx, s.client, address, nil)
	if err != nil {
		return nil, err
	}
	return ParsePEM(document)
}
