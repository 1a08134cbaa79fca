package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"skr/internal/secmem"
)

const (
	requestTimeout = time.Minute // Managed HSM takes its time for large RSA keys
	maxAnswer      = 4 << 20
	maxTries       = 6 // of a request that the service throttles
	maxPause       = 30 * time.Second
)

// request is a request to the service that a check is about.
type request struct {
	method, path string // {key} and {version} in the path stand for key and version
	key, version string
	api          string // the api-version; "" sends none
	query        url.Values
	header       map[string]string
	body         any // sent as JSON; a rawBody as it is
	token        secmem.Text
	anonymous    bool // without the access token of the vault
	creates      bool // it makes a key of that name, which must be removed
}

// rawBody is a body that is sent as it is.
type rawBody string

// at returns the request with a key in the path.
func (r request) at(k *madeKey) request {
	r.key, r.version = k.name, k.version
	return r
}

// describe returns method and path for the report, without the key's name. A query may be that of a
// link in an answer, which can hold names of keys, so only the parameters of the suite have values.
func (r request) describe() string {
	text, separator := r.method+" "+r.path, "?"
	values := r.values()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := "…"
		if name == "api-version" || name == "maxresults" {
			value = redact(values.Get(name))
		}
		text += separator + redact(name) + "=" + value
		separator = "&"
	}
	return text
}

func (r request) values() url.Values {
	values := url.Values{}
	maps.Copy(values, r.query)
	if r.api != "" {
		values.Set("api-version", r.api)
	}
	return values
}

// url returns the address at a host. Path segments are sent as they are.
func (r request) url(host string) string {
	path := strings.NewReplacer("{key}", r.key, "{version}", r.version).Replace(r.path)
	address := "https://" + host + path
	if query := r.values().Encode(); query != "" {
		address += "?" + query
	}
	return address
}

func (r request) bytes() ([]byte, error) {
	switch body := r.body.(type) {
	case nil:
		return nil, nil
	case rawBody:
		return []byte(body), nil
	default:
		return json.Marshal(body)
	}
}

func (r request) build(ctx context.Context, host string) (*http.Request, error) {
	body, err := r.bytes()
	if err != nil {
		return nil, err
	}
	out, err := http.NewRequestWithContext(ctx, r.method, r.url(host), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		out.Header.Set("Content-Type", "application/json")
	}
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		out.Header.Set(name, r.header[name])
	}
	if !r.token.IsZero() {
		out.Header.Set("Authorization", "Bearer "+r.token.Reveal())
	}
	return out, nil
}
