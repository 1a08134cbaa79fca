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
	// Desk is true if only skrctl uses it.
	Desk    bool
	Meaning string
}

// Foreigners lists all of them. docs/reference/settings.md has them, and a test searches the
// sources of the Azure libraries for others.
var Foreigners = []foreign{
	{"IDENTITY_ENDPOINT", true, false, "token endpoint of App Service, Service Fabric or Azure Arc; ACI sets it too"},
	{"IDENTITY_HEADER", true, false, "secret for IDENTITY_ENDPOINT; ACI sets it too"},
	{"IDENTITY_SERVER_THUMBPRINT", true, false, "thumbprint of the certificate of IDENTITY_ENDPOINT in Service Fabric; ACI sets it too"},
	{"IMDS_ENDPOINT", true, false, "metadata service of Azure Arc"},
	{"MSI_ENDPOINT", true, false, "token endpoint of Azure Machine Learning or Cloud Shell"},
	{"MSI_SECRET", true, false, "secret for MSI_ENDPOINT in Azure Machine Learning"},
	{"DEFAULT_IDENTITY_CLIENT_ID", true, false, "client id for MSI_ENDPOINT in Azure Machine Learning"},
	{"AZURE_REGIONAL_AUTHORITY_NAME", true, false, "region of the login service"},
	{"MSAL_FORCE_REGION", true, false, "region of the login service"},
	{"REGION_NAME", true, false, "region of the login service"},
	{"AZURE_KUBERNETES_TOKEN_PROXY", true, false, "token proxy of identity bindings in AKS"},
	{"AZURE_KUBERNETES_CA_DATA", true, false, "CAs of that proxy"},
	{"AZURE_KUBERNETES_CA_FILE", true, false, "file with the CAs of that proxy"},
	{"AZURE_KUBERNETES_SNI_NAME", true, false, "TLS server name of that proxy"},
	{"AZURE_TOKEN_CREDENTIALS", false, true, "logins that are tried"},
	{"AZURE_ADDITIONALLY_ALLOWED_TENANTS", false, true, "further tenants of a service principal"},
	{"AZURE_CLIENT_SECRET", false, true, "secret of a service principal"},
	{"AZURE_CLIENT_CERTIFICATE_PATH", false, true, "certificate of a service principal"},
	{"AZURE_CLIENT_CERTIFICATE_PASSWORD", false, true, "password of that file"},
	{"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", false, true, "whether the chain is sent"},
	{"AZURE_USERNAME", false, true, "user name of a login with a password"},
	{"AZURE_PASSWORD", false, true, "password of that user"},
	{"HTTPS_PROXY", false, false, "proxy for all but the instance metadata service and the host's certificate cache"},
	{"HTTP_PROXY", false, false, "proxy for plain HTTP, except those two"},
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
