package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
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
}

func applySideCarArgs(all *pflag.FlagSet, name, encoded string) error {
	if strings.TrimSpace(encoded) == "" {
		return nil
	}
	args, err := parseSideCarArgs(encoded)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fields, err := args.fields()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for flag, value := range fields {
		if value == "" {
			continue
		}
		if err := set(all.Lookup(flag), name, value); err != nil {
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
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(args); err != nil {
		return nil, fmt.Errorf("reading its JSON: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("must hold one JSON object and nothing behind it")
	}
	return args, nil
}

// fields are the flags that the arguments stand for.
func (a *sideCarArgs) fields() (map[string]string, error) {
	fields := map[string]string{"client-id": a.Identity.ClientID, "maa-user-agent": a.MAA.UserAgent}
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
		return nil, fmt.Errorf("certcache.endpoint_type %q is none of AMD, AzCache, LocalTHIM", cache.EndpointType)
	}
	return fields, nil
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
