package config

import (
	"os"
	"slices"
	"strings"
)

// Environment is the process environment. Only this file reads and changes it.
type Environment map[string]string

// OSEnvironment returns the environment of the process.
func OSEnvironment() Environment {
	env := make(Environment)
	for _, entry := range os.Environ() {
		if name, value, found := strings.Cut(entry, "="); found {
			env[name] = value
		}
	}
	return env
}

// foreign is a variable that a library reads.
type foreign struct {
	Name string
	// Steers is true if it would send requests of the pod's identity to another service than
	// imds_url or authority_host. skr hides it from the library.
	Steers bool
	// Desk is true if only `skrctl key` uses it.
	Desk    bool
	Meaning string
}

// Foreigners lists all of them. docs/configuration.md has the same table, and a test searches the
// sources of the Azure libraries for others.
var Foreigners = []foreign{
	{"IDENTITY_ENDPOINT", true, false, "where App Service, Service Fabric or Azure Arc give tokens; ACI sets it too"},
	{"IDENTITY_HEADER", true, false, "goes with it; ACI sets it too"},
	{"IDENTITY_SERVER_THUMBPRINT", true, false, "goes with it, for Service Fabric; ACI sets it too"},
	{"IMDS_ENDPOINT", true, false, "where Azure Arc has its metadata service"},
	{"MSI_ENDPOINT", true, false, "where Azure Machine Learning or Cloud Shell give tokens"},
	{"MSI_SECRET", true, false, "goes with it, for Azure Machine Learning"},
	{"DEFAULT_IDENTITY_CLIENT_ID", true, false, "goes with it, for Azure Machine Learning"},
	{"AZURE_REGIONAL_AUTHORITY_NAME", true, false, "region whose login service is asked"},
	{"MSAL_FORCE_REGION", true, false, "region whose login service is asked"},
	{"REGION_NAME", true, false, "region whose login service is asked"},
	{"AZURE_KUBERNETES_TOKEN_PROXY", true, false, "proxy for tokens, of identity bindings in AKS"},
	{"AZURE_KUBERNETES_CA_DATA", true, false, "goes with it"},
	{"AZURE_KUBERNETES_CA_FILE", true, false, "goes with it"},
	{"AZURE_KUBERNETES_SNI_NAME", true, false, "goes with it"},
	{"AZURE_TOKEN_CREDENTIALS", false, true, "which logins are tried"},
	{"AZURE_ADDITIONALLY_ALLOWED_TENANTS", false, true, "further tenants of a service principal"},
	{"AZURE_CLIENT_SECRET", false, true, "secret of a service principal"},
	{"AZURE_CLIENT_CERTIFICATE_PATH", false, true, "certificate of a service principal"},
	{"AZURE_CLIENT_CERTIFICATE_PASSWORD", false, true, "password of that file"},
	{"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", false, true, "whether the chain is sent"},
	{"AZURE_USERNAME", false, true, "name of a user who logs in by password"},
	{"AZURE_PASSWORD", false, true, "password of that user"},
	{"HTTPS_PROXY", false, false, "proxy for all but the instance metadata service"},
	{"HTTP_PROXY", false, false, "proxy for plain HTTP, but for the instance metadata service"},
	{"NO_PROXY", false, false, "hosts without a proxy"},
	{"SSL_CERT_FILE", false, false, "CAs of the system for outbound TLS; ca_file adds to them"},
	{"SSL_CERT_DIR", false, false, "directory of such CAs"},
}

// HideSteering removes the variables with Steers. azidentity has no option for this.
func HideSteering() {
	for _, f := range Foreigners {
		if f.Steers {
			_ = os.Unsetenv(f.Name) // fails only for invalid names
		}
	}
}

// foreign returns the names in env for which is returns true. Names of proxies may be in lower case.
func (env Environment) foreign(is func(foreign) bool) (names []string) {
	for _, f := range Foreigners {
		for _, name := range slices.Compact([]string{f.Name, strings.ToLower(f.Name)}) {
			if env[name] != "" && (name == f.Name || strings.HasSuffix(name, "_proxy")) && is(f) {
				names = append(names, name)
			}
		}
	}
	return names
}
