package azuresdk

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"skr/hsm"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/tool"
)

// notServed are the calls that the emulator refuses or that Azure's client gets wrong by itself. All
// others must succeed.
var notServed = map[string]string{
	"@azure/keyvault-keys, Key Vault: createOctKey":               "400 BadParameter", // as the service before 2026
	"@azure/keyvault-keys, Key Vault: getRandomBytes":             "404 NotFound",     // only Managed HSM has it
	"CryptographyClient, Key Vault: signData, verifyData PS256":   "returned false",   // the client verifies it as PKCS #1 v1.5
	"CryptographyClient, Managed HSM: signData, verifyData PS256": "returned false",
	"@azure/attestation: attestSgxEnclave":                        "400 InvalidOperation",
	"@azure/attestation: attestTpm":                               "400 InvalidOperation",
}

// TestJavaScript runs each call against the names under .localhost.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("npm"); err != nil {
		tool.Missing(t, "npm", "apt-get install nodejs npm")
	}
	dir := install(t)
	cloud, err := emulator.Start(t.Context(), emulator.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cloud.Close() }() // the process exits anyway
	rows := parseRows(t, run(t, dir, cloud, settings(t, cloud)), 80)
	checkRows(t, rows, notServed)
	compare(t, "JavaScript", rows)
}

// install copies the scripts and installs the clients in the versions of the lock file.
func install(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "javascript")
	if err := os.CopyFS(dir, os.DirFS("testdata/javascript")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts")
	npm.Dir = dir
	if output, err := npm.CombinedOutput(); err != nil {
		if bytes.Contains(output, []byte("ENOTFOUND")) || bytes.Contains(output, []byte("EAI_AGAIN")) {
			t.Skipf("the registry cannot be reached: %.500s", output)
		}
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
	return dir
}

func run(t *testing.T, dir string, cloud *emulator.Cloud, settings string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "--require", "./resolve.cjs", "calls.cjs")
	node.Dir = dir
	node.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+cloud.CAFile(), "SETTINGS="+settings, "AZURE_POD_IDENTITY_AUTHORITY_HOST="+cloud.IMDSURL())
	var problems bytes.Buffer
	node.Stderr = &problems
	output, err := node.Output()
	if err != nil {
		t.Fatalf("node: %v\n%.4000s", err, problems.Bytes())
	}
	t.Logf("%.4000s", problems.Bytes())
	return output
}

// settings are what the script needs to know of the cloud.
func settings(t *testing.T, cloud *emulator.Cloud) string {
	t.Helper()
	environment, err := cloud.WorkloadIdentity()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, entry := range append(environment, cloud.Secret()) {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	vault := cloud.Host("demo", "vault")
	_, domain, _ := strings.Cut(vault, ".")
	authority := "https://" + cloud.AttestationHost()
	policy := `{"version":"1.0.0","anyOf":[{"authority":"` + authority + `","allOf":[{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`
	text, err := json.Marshal(map[string]string{
		"vault": "https://" + vault, "hsm": "https://" + cloud.Host("demo", "managedhsm"), "maa": authority,
		"resource": "https://" + domain, "policy": policy, "token": token(t, cloud),
		"tenant": values["AZURE_TENANT_ID"], "client": values["AZURE_CLIENT_ID"], "secret": values["AZURE_CLIENT_SECRET"],
		"assertion": values["AZURE_FEDERATED_TOKEN_FILE"], "authority": values["AZURE_AUTHORITY_HOST"],
		"object": cloud.SystemIdentity().ObjectID, "resourceID": emulator.WorkloadResource,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// token returns a token of the machine with a key for releases, which skr attest prints.
func token(t *testing.T, cloud *emulator.Cloud) string {
	t.Helper()
	kek, err := hsm.NewKEK(2048)
	if err != nil {
		t.Fatal(err)
	}
	skr := exec.CommandContext(t.Context(), program.Path("skr"), "attest", "maa", "--authority", cloud.AttestationHost())
	skr.Env = append(os.Environ(), cloud.Environment(cloud.Machine())...)
	skr.Stdin = bytes.NewReader(kek.RuntimeData())
	text, err := skr.Output()
	if err != nil {
		t.Fatalf("skr attest maa: %v", err)
	}
	var answer struct{ Token string }
	if err := json.Unmarshal(text, &answer); err != nil || answer.Token == "" {
		t.Fatalf("skr attest maa: %v: %.200s", err, text)
	}
	return answer.Token
}
