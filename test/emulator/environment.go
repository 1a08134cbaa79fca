package emulator

import (
	"net/url"
	"slices"
	"strings"

	"skr/test/tdxtest"
)

// Environment returns the variables, as NAME=value, with which a sidecar on
// machine m uses this cloud instead of Azure. The slice has no spare capacity,
// so callers may append to it.
func (c *Cloud) Environment(m *Machine) []string {
	common := []string{
		"SKR_AMD_ROOTS=" + c.path(rootsFile),
		"SKR_CA_FILE=" + c.path(caFile),
		"SKR_IMDS_URL=" + c.IMDSURL(),
		"SKR_AZURE_CACHE_URL=" + c.AzureCacheURL(),
		"SKR_KDS_URL=" + c.KDSURL(),
		"SKR_MAA_ALLOW=" + strings.Join(c.allowList([]string{"*." + c.domain("attest")}, kindMAA), ","),
		"SKR_VAULT_ALLOW=" + strings.Join(c.allowList(
			[]string{"*." + c.domain("vault"), "*." + c.domain("managedhsm")}, kindVault, kindHSM), ","),
	}
	return slices.Clip(slices.Concat(common, m.placeEnvironment(), m.environment()))
}

// environment returns the variables that depend on the platform.
func (m *Machine) environment() []string {
	if m.vtpm == nil {
		return []string{
			"SKR_REPORT_SOURCE=unix:" + m.Socket(),
			"SKR_CERTIFICATE_SOURCES=host,thim",
			"UVM_SECURITY_CONTEXT_DIR=" + m.SecurityContext(),
		}
	}
	common := []string{
		"SKR_REPORT_SOURCE=vtpm",
		"SKR_TPM=" + m.vtpm.Address(),
		"SKR_EVENT_LOG=" + m.EventLog(),
		"SKR_AK_ROOTS=" + m.cloud.path(akRootsFile),
		"SKR_CERTIFICATE_SOURCES=thim",
	}
	if m.config.Platform == TDX {
		return append(common, m.cloud.intelEnvironment()...)
	}
	return common
}

// intelEnvironment returns the variables for Intel's roots and collateral.
func (c *Cloud) intelEnvironment() []string {
	return []string{
		"SKR_INTEL_ROOTS=" + c.path(intelRootsFile),
		"SKR_PCCS_URL=" + c.hosts.url(azureCacheLocal),
		"SKR_PCS_URL=" + c.hosts.url(pcsLocal),
		"SKR_INTEL_ROOT_CRL_URL=" + c.hosts.url(intelCertificatesLocal) + tdxtest.RootCRLPath,
	}
}

// domain returns the domain and port of a service, such as
// "vault.localhost:8443".
func (c *Cloud) domain(service string) string {
	parsed, err := url.Parse(c.hosts.url(service + localDomain))
	if err != nil {
		return service + localDomain
	}
	return parsed.Host
}

// allowList returns base and the extra hosts of the given kinds.
func (c *Cloud) allowList(base []string, of ...kind) []string {
	for _, name := range c.hosts.extra {
		if v, ok := parseHost(name); ok && slices.Contains(of, v.kind) {
			base = append(base, name)
		}
	}
	return base
}
