package azuresdk

import (
	"os/exec"
	"path/filepath"
	"testing"

	"skr/test/tool"
)

// debianPython is where Debian's packages are.
const debianPython = "/usr/bin/python3"

// python runs a script of testdata where Azure's names lead to the emulator. The script needs a module.
func python(t *testing.T, name, module, packages string, variables ...string) []byte {
	t.Helper()
	if err := exec.CommandContext(t.Context(), debianPython, "-c", "import "+module).Run(); err != nil {
		tool.Missing(t, module+" of Python", "apt-get install "+packages)
	}
	script, err := filepath.Abs(filepath.Join("testdata", name, "calls.py"))
	if err != nil {
		t.Fatal(err)
	}
	return withRealNames(t, []string{debianPython, script}, variables...)
}

// notServedPython are the calls that the emulator refuses or that Azure's client gets wrong by itself.
var notServedPython = map[string]string{
	"azure-keyvault-keys, Key Vault: create_oct_key":                   "400 BadParameter", // as the service before 2026
	"azure-keyvault-keys, Key Vault: create_okp_key":                   "400 BadParameter", // the service's key type for the future
	"azure-keyvault-keys, Managed HSM: create_okp_key":                 "400 BadParameter",
	"azure-keyvault-keys, Key Vault: get_random_bytes":                 "404 NotFound",   // only Managed HSM has it
	"CryptographyClient, Managed HSM: encrypt, decrypt A256CBCPAD":     "returned False", // the client uses a random key of its own
	"CryptographyClient, Managed HSM: wrap_key, unwrap_key A256KW":     "returned False",
	"azure-keyvault-administration: list_role_definitions":             "404 NotFound",
	"azure-keyvault-administration: list_role_assignments":             "404 NotFound",
	"azure-security-attestation: add_policy_management_certificate":    "400 InvalidOperation", // the instance is not isolated
	"azure-security-attestation: remove_policy_management_certificate": "400 InvalidOperation",
	"azure-security-attestation, isolated: set_policy, unsigned":       "400 InvalidParameter",
	"azure-security-attestation: attest_sgx_enclave":                   "400 InvalidOperation",
	"azure-security-attestation: attest_open_enclave":                  "400 InvalidOperation",
	"azure-security-attestation: attest_tpm":                           "400 InvalidOperation",
}

// TestPython runs Azure's clients for Python, as Debian has them.
func TestPython(t *testing.T) {
	t.Parallel()
	rows := parseRows(t, python(t, "python", "azure.keyvault.administration", "python3-azure"), 100)
	checkRows(t, rows, notServedPython)
	compare(t, "Python", rows)
}

// notServedCLI are the commands of the Azure CLI that the emulator refuses.
var notServedCLI = map[string]string{
	"az, Key Vault: az keyvault key create --exportable":   "BadParameter", // it is no HSM key
	"az, Managed HSM: az keyvault key create --exportable": "BadParameter", // it has no release policy
	"az: az keyvault create":                               "AADSTS500011", // asks Microsoft Graph who the user is
	"az: az keyvault create --enable-rbac-authorization":   "404 SubscriptionNotFound",
	"az: az keyvault list-deleted":                         "404 SubscriptionNotFound",
	"az, attestation: az rest --method get --url /nothing": "404 NotFound",
}

// TestCLI runs the Azure CLI, as Debian has it.
func TestCLI(t *testing.T) {
	t.Parallel()
	output := python(t, "cli", "azure.cli.core", "azure-cli", "AZURE_CORE_COLLECT_TELEMETRY=no")
	rows := parseRows(t, output, 50)
	checkRows(t, rows, notServedCLI)
	compare(t, "Azure CLI", rows)
}
