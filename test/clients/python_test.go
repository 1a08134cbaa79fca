package clients

import (
	"os/exec"
	"path/filepath"
	"testing"

	"skr/test/tool"
)

// printedByPython is what testdata/python prints after each operation.
const printedByPython = `decrypt RSA-OAEP
decrypt RSA-OAEP-256
unwrap RSA-OAEP-256
sign PS256
sign ES256
sign ES256K
decrypt with ManagedIdentityCredential
refused 400 BadParameter
`

// debianPython is where Debian's packages are.
const debianPython = "/usr/bin/python3"

// TestPython runs azure-keyvault-keys, as Debian has it, and the example of docs/keys-in-use.md.
func TestPython(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), debianPython, "-c", "import azure.keyvault.keys, azure.identity").Run(); err != nil {
		tool.Missing(t, "azure-keyvault-keys of Python", "apt-get install python3-azure")
	}
	v := newVault(t)
	process := exec.CommandContext(t.Context(), debianPython, filepath.Join(testdata, "python", "main.py"), v.url(), v.token())
	process.Env = append(v.managed(t), "REQUESTS_CA_BUNDLE="+v.ca(), "PYTHONDONTWRITEBYTECODE=1")
	run(t, process, printedByPython)
	v.runExample(t, "python", t.TempDir(), "example.py", []string{debianPython}, []string{"REQUESTS_CA_BUNDLE=" + v.ca()})
}
