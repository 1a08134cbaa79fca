package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// The program that this one replaces (microsoft/confidential-sidecar-containers)
// is configured by these names; docs/decisions/0004-drop-in.md lists them.
var (
	dropInNames = map[string]string{ // environment variable: flag
		"LogFile":                    "log-file",
		"LogLevel":                   "log-level",
		"AZURE_CLIENT_ID":            "client-id",
		"AZURE_TENANT_ID":            "tenant-id",
		"AZURE_FEDERATED_TOKEN_FILE": "federated-token-file",
		"AZURE_AUTHORITY_HOST":       "authority-host",
		"UVM_SECURITY_CONTEXT_DIR":   "security-context-dir",
		"UVM_SECURITY_POLICY":        "security-policy",
		"UVM_HOST_AMD_CERTIFICATE":   "host-certificate",
		"UVM_REFERENCE_INFO":         "reference-info",
	}
	dropInFlags = map[string]string{ // single-dash flag: ours
		"base64": "base64", "port": "port", "server_type": "server-type",
		"loglevel": "log-level", "logfile": "log-file",
		"infile": "infile", "keypath": "keypath", "outfile": "outfile",
		"allowTestingMismatchedTCB": "allow-testing-mismatched-tcb",
	}
	dropInLevels = map[string]string{"trace": "debug", "warning": "warn", "fatal": "error", "panic": "error"}
)

// addDropInFlags adds the flags that exist only for the drop-in.
func addDropInFlags(fs *pflag.FlagSet) {
	fs.String("base64", "", "base64 of the JSON that SkrSideCarArgs holds")
	fs.String("port", "", "port of the HTTP listener on localhost")
	fs.String("server-type", "", "http")
	for _, name := range []string{"infile", "keypath", "outfile"} {
		fs.String(name, "", "is not supported")
	}
	fs.Bool("allow-testing-mismatched-tcb", false, "is refused")
	for _, name := range dropInFlags {
		fs.Lookup(name).Hidden = true
	}
}

// dropInArguments rewrites what the drop-in's manifests pass: a name under
// which the program was started, and flags with a single dash.
func dropInArguments(argv []string, env environment) ([]string, error) {
	program, args := filepath.Base(argv[0]), argv[1:]
	if program == "sh" {
		if !slices.Equal(args, []string{"-c", "/skr.sh"}) {
			return nil, &configError{errors.New("this image has no shell; only `sh -c /skr.sh` is understood")}
		}
		program, args = "skr.sh", nil
	}
	if program == "skr.sh" {
		return scriptArguments(args, env), nil
	}
	for i, arg := range args {
		args[i] = dropInFlag(arg)
	}
	return args, nil
}

// scriptArguments stands in for skr.sh: its two arguments are SkrSideCarArgs
// and Port, where the environment has none.
func scriptArguments(args []string, env environment) []string {
	flags := []string{} // cobra takes nil for os.Args
	for i, name := range []string{"SkrSideCarArgs", "Port"} {
		if i < len(args) && args[i] != "" && env[name] == "" {
			flags = append(flags, []string{"--base64=", "--port="}[i]+args[i])
		}
	}
	return flags
}

func dropInFlag(arg string) string {
	name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	ours, known := dropInFlags[name]
	if !strings.HasPrefix(arg, "-") || !known {
		return arg
	}
	if hasValue {
		return "--" + ours + "=" + value
	}
	return "--" + ours
}

func applyDropInEnvironment(all *pflag.FlagSet, env environment) error {
	if err := applySideCarArgs(all, "SkrSideCarArgs", env["SkrSideCarArgs"]); err != nil {
		return err
	}
	if err := applyPort(all, "Port", env["Port"]); err != nil {
		return err
	}
	if err := checkServerType("ServerType", env["ServerType"]); err != nil {
		return err
	}
	for name, flag := range dropInNames {
		if value := env[name]; value != "" {
			if err := set(all.Lookup(flag), name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func applyDropInFlags(all, given *pflag.FlagSet) error {
	if given == nil || given.Lookup("base64") == nil {
		return nil
	}
	text := func(name string) string { return given.Lookup(name).Value.String() }
	switch {
	case given.Changed("allow-testing-mismatched-tcb"):
		return errors.New("-allowTestingMismatchedTCB is refused: certificates that do not match the report's TCB prove nothing, and no switch weakens a check")
	case given.Changed("infile") || given.Changed("keypath") || given.Changed("outfile"):
		return errors.New("-infile, -keypath and -outfile: this version does not wrap files")
	}
	return errors.Join(
		applySideCarArgs(all, "-base64", text("base64")),
		applyPort(all, "-port", text("port")),
		checkServerType("-server_type", text("server-type")))
}

func applyPort(all *pflag.FlagSet, name, port string) error {
	if port == "" {
		return nil
	}
	return set(all.Lookup("listen"), name, "localhost:"+port)
}

func checkServerType(name, value string) error {
	if value == "" || value == "http" {
		return nil
	}
	return fmt.Errorf("%s: %q is not supported by this version; it serves http", name, value)
}

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
