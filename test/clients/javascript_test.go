package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"skr/test/tool"
)

// printedByJavaScript is what testdata/javascript prints after each operation.
const printedByJavaScript = `decrypt RSA-OAEP
unwrap RSA-OAEP
decrypt RSA-OAEP-256
unwrap RSA-OAEP-256
decrypt what node encrypts
sign RS256
sign PS384
sign RS512
signData RS256
decrypt without a version
sign and verify ES256
sign and verify ES256K
encrypt and decrypt A256GCM
wrap and unwrap A256KW
decrypt with DefaultAzureCredential
refused 400 BadParameter
`

// TestJavaScript runs @azure/keyvault-keys, and the example of docs/keys-in-use.md.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("npm"); err != nil {
		tool.Missing(t, "npm", "apt-get install nodejs npm")
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "main.mjs"} {
		copyFile(t, filepath.Join(testdata, "javascript", name), filepath.Join(dir, name))
	}
	install(t, dir, "npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts")
	v := newVault(t)
	process := exec.CommandContext(t.Context(), "node", "main.mjs", v.url(), v.token())
	process.Dir = dir
	process.Env = append(v.managed(t), "NODE_EXTRA_CA_CERTS="+v.ca())
	run(t, process, printedByJavaScript)
	v.runExample(t, "js", dir, "example.mjs", []string{"node"}, []string{"NODE_EXTRA_CA_CERTS=" + v.ca()})
}

// managed returns the variables with which a client gets the token as that of a managed identity.
func (v vault) managed(t *testing.T) []string {
	t.Helper()
	token, err := os.ReadFile(v.token())
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AZURE_TOKEN_CREDENTIALS=ManagedIdentityCredential",
		"IDENTITY_ENDPOINT=https://127.0.0.1:" + v.port + "/msi/token", "IDENTITY_HEADER=" + string(token),
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// unreachable matches npm's messages when its registry is unreachable.
var unreachable = regexp.MustCompile(`ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH`)

// install runs a program that installs packages. It skips the test if the registry is unreachable.
func install(t *testing.T, dir string, argv ...string) {
	t.Helper()
	process := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	process.Dir = dir
	out, err := process.CombinedOutput()
	switch {
	case err == nil:
	case unreachable.Match(out):
		t.Skipf("the registry of %s is unreachable:\n%.2000s", argv[0], out)
	default:
		t.Fatalf("%s: %v\n%s", argv, err, out)
	}
}
