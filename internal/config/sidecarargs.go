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

// sideCarArgs is what SkrSideCarArgs holds. Members that are empty change nothing.
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

	unknown []string // members that are none of these
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
	// The reference takes members in any capitals, which is harmless. Of two members
	// of one name it takes the last, and a reader of a policy might see the first.
	if _, err := strictjson.Parse(data); err != nil && !isNull(data) {
		return nil, fmt.Errorf("reading its JSON: %w", err)
	}
	args.unknown = unknownMembers(data, "", reflect.TypeFor[sideCarArgs]())
	return args, nil
}

// isNull reports whether the arguments are null, which changes nothing.
func isNull(data []byte) bool { return string(bytes.TrimSpace(data)) == "null" }

// unknownMembers lists the members of a JSON object that the type has no field for,
// as paths. Names are matched as encoding/json does, in any capitals.
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

// fields returns the flags that the arguments stand for. known is false if the
// type of the endpoint is another than those of the reference.
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

// kdsURL keeps the host: the paths of the key distribution service are fixed
// (AMD 57230), and the drop-in's endpoint carries their first part.
func kdsURL(endpoint string) string {
	url := withScheme("https://", endpoint)
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}
