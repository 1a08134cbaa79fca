package config

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"skr/internal/strictjson"
)

// sideCarArgs is the content of SkrSideCarArgs. Empty members have no effect.
type sideCarArgs struct {
	CertCache struct {
		EndpointType string `json:"endpoint_type"`
		Endpoint     string `json:"endpoint"`
		TEEType      string `json:"tee_type"`
		APIVersion   string `json:"api_version"`
		ClientID     string `json:"client_id"`
	} `json:"certcache"`
	Identity struct {
		ClientID string `json:"client_id"`
	} `json:"identity"`
	MAA struct {
		UserAgent string `json:"user_agent"`
	} `json:"maaconfig"`

	unknown []string // other members
}

func (d *dropIn) sideCarArgs(name, encoded string) error {
	if strings.TrimSpace(encoded) == "" {
		return nil
	}
	args, err := parseSideCarArgs(encoded)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, member := range args.unknown {
		d.warn("%s: ignoring the unknown member %q", name, member)
	}
	fields, known := args.fields()
	if !known {
		d.warn("%s: certcache.endpoint_type %q is none of AMD, AzCache, LocalTHIM; using certificate_sources as they are", name, args.CertCache.EndpointType)
	}
	for flag, value := range fields {
		if value == "" {
			continue
		}
		if err := set(d.fields.Lookup(flag), name, value); err != nil {
			return err
		}
	}
	return nil
}

func parseSideCarArgs(encoded string) (*sideCarArgs, error) {
	compact := strings.Join(strings.Fields(encoded), "")
	data, err := base64.StdEncoding.DecodeString(compact)
	if err != nil {
		return nil, errors.New("must be base64 of a JSON object")
	}
	args := new(sideCarArgs)
	if err := json.Unmarshal(data, args); err != nil {
		return nil, fmt.Errorf("reading its JSON: %w", err)
	}
	// The reference ignores the case of members, which is harmless. Duplicate members are
	// refused, because another reader may use the first of them.
	if _, err := strictjson.Parse(data); err != nil && !isNull(data) {
		return nil, fmt.Errorf("reading its JSON: %w", err)
	}
	args.unknown = unknownMembers(data, "", reflect.TypeFor[sideCarArgs]())
	return args, nil
}

// isNull reports whether the arguments are null, which has no effect.
func isNull(data []byte) bool { return string(bytes.TrimSpace(data)) == "null" }

// unknownMembers returns the paths of members of a JSON object for which the type has no field. Like
// encoding/json, it ignores the case of names.
func unknownMembers(data []byte, prefix string, of reflect.Type) (unknown []string) {
	var members map[string]json.RawMessage
	if of.Kind() != reflect.Struct || json.Unmarshal(data, &members) != nil {
		return nil
	}
	for name, value := range members {
		field, found := of.FieldByNameFunc(func(field string) bool {
			known, _ := of.FieldByName(field)
			return strings.EqualFold(known.Tag.Get("json"), name)
		})
		if !found {
			unknown = append(unknown, prefix+name)
			continue
		}
		unknown = append(unknown, unknownMembers(value, prefix+name+".", field.Type)...)
	}
	slices.Sort(unknown)
	return unknown
}

// fields returns the flags that the arguments set. known is false if the reference does not have the
// type of the endpoint.
func (a *sideCarArgs) fields() (fields map[string]string, known bool) {
	fields = map[string]string{"client-id": a.Identity.ClientID, "maa-user-agent": a.MAA.UserAgent}
	cache := a.CertCache
	switch cache.EndpointType {
	case "":
	case "LocalTHIM":
		fields["certificate-sources"] = "host,thim,kds"
		fields["thim-url"] = withScheme("http://", cache.Endpoint)
	case "AzCache":
		fields["certificate-sources"] = "host,azure-cache,thim,kds"
		fields["azure-cache-url"] = cacheURL(cache.Endpoint, cache.TEEType)
		fields["azure-cache-api-version"] = cache.APIVersion
		fields["azure-cache-client-id"] = cache.ClientID
	case "AMD":
		fields["certificate-sources"] = "host,kds,thim"
		fields["kds-url"] = kdsURL(cache.Endpoint)
	default:
		return fields, false
	}
	return fields, true
}

func withScheme(scheme, endpoint string) string {
	if endpoint == "" || strings.Contains(endpoint, "://") {
		return endpoint
	}
	return scheme + endpoint
}

// cacheURL completes "host" to "https://host/SevSnpVM/certificates".
func cacheURL(endpoint, teeType string) string {
	if endpoint == "" {
		return ""
	}
	if teeType == "" {
		teeType = "SevSnpVM"
	}
	return withScheme("https://", strings.TrimSuffix(endpoint, "/")) + "/" + teeType + "/certificates"
}

// kdsURL returns the endpoint without its path. The paths of the key distribution service are fixed
// (AMD 57230), and the endpoint of the drop-in contains their first part.
func kdsURL(endpoint string) string {
	url := withScheme("https://", endpoint)
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}
