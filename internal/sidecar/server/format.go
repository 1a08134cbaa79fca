package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"skr/hsm"
	"skr/internal/accept"
	"skr/internal/keyformat"
	"skr/internal/refusal"
)

// formatKey is under which a context has the [keyformat.Format] of the answer. The JSON object
// of drop-in clients has none.
type formatKey struct{}

func formatOf(ctx context.Context) keyformat.Format {
	format, _ := ctx.Value(formatKey{}).(keyformat.Format)
	return format
}

// formatMember is the member of a query that chooses the format. It wins over Accept.
const formatMember = "format"

// withFormat notes the format that the query or the Accept header asks for.
func withFormat(ctx context.Context, r *http.Request) (context.Context, error) {
	format, err := requestedFormat(r)
	if err != nil || format == "" {
		return ctx, err
	}
	return context.WithValue(ctx, formatKey{}, format), nil
}

func requestedFormat(r *http.Request) (keyformat.Format, error) {
	if r.URL.RawQuery != "" {
		query, err := parseQuery(r.URL.RawQuery)
		if err != nil {
			return "", err
		}
		if given, found := query[formatMember]; found {
			return parseFormat(given[0])
		}
	}
	format, err := acceptedFormat(r.Header["Accept"])
	if errors.Is(err, errNotOffered) && r.Method == http.MethodPost {
		return "", nil // drop-in clients send what they like, and always had the JSON object
	}
	return format, err
}

func parseFormat(name string) (keyformat.Format, error) {
	format, err := keyformat.Parse(name)
	if err != nil {
		return "", refusal.Newf(refusal.BadRequest, "format is none of %s", keyformat.Names()) // no text of a query is logged
	}
	return format, nil
}

// parseQuery refuses members that are repeated: one of them would be ignored.
func parseQuery(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refusal.Newf(refusal.BadRequest, "the query is not of the form name=value&name=value")
	}
	for _, values := range query {
		if len(values) > 1 {
			return nil, refusal.Newf(refusal.BadRequest, "a member of the query is repeated")
		}
	}
	return query, nil
}

// queryRequest returns the JSON object that a POST with the members of the query would have. A
// secret does not belong into a URL, which programs and proxies log.
func queryRequest(raw string) ([]byte, error) {
	query, err := parseQuery(raw)
	if err != nil {
		return nil, err
	}
	if query.Has("access_token") {
		return nil, refusal.Newf(refusal.BadRequest, "access_token must not be in a URL, which programs log; send it in the body of a POST")
	}
	members := make(map[string]string, len(query))
	for name, values := range query {
		if name != formatMember {
			members[name] = values[0]
		}
	}
	return json.Marshal(members)
}

// inFormat returns the key in a format of the caller's choice. It is made for each request, as
// few callers ask for one.
func inFormat(key *hsm.Key, format keyformat.Format) (body, error) {
	text, err := format.Encode(key)
	if err != nil {
		return body{}, refusal.Because(refusal.BadRequest,
			"a key of this type has no form "+string(format)+"; jwk is for every key, raw for symmetric keys, the others for key pairs", err)
	}
	return body{plain: text, media: format.MediaType(), key: key.ID()}, nil
}

// offer is a media type and its format; "" is the JSON object of drop-in clients.
type offer struct {
	media  string
	format keyformat.Format
}

// offers are what the Accept header can choose, the preferred one first.
var offers = []offer{
	{"application/json", ""},
	{keyformat.JWK.MediaType(), keyformat.JWK},
	{keyformat.PEM.MediaType(), keyformat.PEM},
	{keyformat.DER.MediaType(), keyformat.DER},
	{keyformat.Raw.MediaType(), keyformat.Raw},
}

// errNotOffered has a status of its own.
var errNotOffered = refusal.Newf(refusal.BadRequest, "Accept allows none of %s", strings.Join(offeredTypes(), ", "))

func offeredTypes() (types []string) {
	for _, o := range offers {
		types = append(types, o.media)
	}
	return types
}

// acceptedFormat returns the format of the offer that the Accept header prefers, and of equals
// the first (RFC 9110 section 12.5.1).
func acceptedFormat(header []string) (keyformat.Format, error) {
	if len(header) == 0 || len(header) == 1 && slices.Contains([]string{"*/*", offers[0].media, ""}, header[0]) {
		return "", nil
	}
	ranges := accept.Parse(header)
	if len(ranges) == 0 {
		return "", nil // it says nothing that can be understood
	}
	best, found := offer{}, 0
	for _, o := range offers {
		if quality := ranges.Quality(o.media); quality > found {
			best, found = o, quality
		}
	}
	if found == 0 {
		return "", errNotOffered
	}
	return best.format, nil
}
