package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"skr/test/emulator"
	"skr/test/program"
)

// keysInUseStart starts skr with the document's configuration.
const keysInUseStart = `
set -eu
skr serve --config skr.yaml 2>skr.log & sidecar=$!
trap 'kill $sidecar' EXIT
skr healthcheck --listen $LISTEN --wait 60s
`

// TestKeysInUse follows docs/keys-in-use.md with its configuration and its commands. Only hosts, ports and the
// directory are replaced.
func TestKeysInUse(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("contoso", "vault")
	policy := fmt.Appendf(nil, `{"version":"1.0.0","anyOf":[{"authority":"https://%s","allOf":[{"claim":"x-ms-sevsnpvm-hostdata","equals":"%s"}]}]}`,
		cloud.AttestationHost(), cloud.Machine().HostData())
	if _, err := cloud.CreateKey(t.Context(), vault, emulator.KeySpec{Name: "orders", Size: 3072}, policy); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(root + "/docs/keys-in-use.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	listen, crypto := program.FreeAddress(t), program.FreeAddress(t)
	document := strings.NewReplacer("contoso.vault.azure.net", vault, "sharedeus.eus.attest.azure.net", cloud.AttestationHost(),
		"localhost:8080", listen, "https://localhost:8443", "https://"+crypto, "localhost:8443", crypto, "/run/skr-crypto", dir).Replace(string(text))
	alias, listener, names := yamlBlock(t, document, "ops: [decrypt"), yamlBlock(t, document, "crypto_listen:"), yamlBlock(t, document, "crypto_names: [keys")
	config := alias + strings.Replace(listener, "crypto_names: []", strings.TrimSpace(names), 1)
	write(t, filepath.Join(dir, "skr.yaml"), config)
	bin := filepath.Join(dir, "bin")
	build(t, bin)
	out := runScript(t, dir, exports(append(cloud.Environment(cloud.Machine()), "PATH="+bin+":"+os.Getenv("PATH"), "VAULT="+vault,
		"LISTEN="+listen, "SKR_LISTEN="+listen))+keysInUseStart+walk(t, document, nil))
	const opened = `"alg":"RSA-OAEP-256","value":"YSBzZWNyZXQ"}`
	if n := strings.Count(out, opened); n != 2 { // by the route, and by crypto_listen
		t.Errorf("%d decryptions, want 2", n)
	}
	for _, want := range []string{
		`"alg":"PS256","value":"`, `the key of alias \"orders\" stays in the sidecar; use it there, by /key/decrypt, /key/sign and so on`,
		`the ops of alias \"orders\" do not list encrypt; add it there`,
		`"results":[{"value":"YSBzZWNyZXQ"},{"value":"YSBzZWNyZXQ"},{"error":"`, `{"kid":"https://` + crypto + `/keys/orders/`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the walk does not print %q:\n%.8000s", want, out)
		}
	}
	shown := regexp.MustCompile(`(?s)"error":"(.*?)","code"`)
	for _, refusal := range shown.FindAllStringSubmatch(document, -1) {
		for words := range strings.SplitSeq(refusal[1], "…") {
			if !strings.Contains(out, words) {
				t.Errorf("no call is refused as the document shows: %s", refusal[1])
			}
		}
	}
}

// yamlBlock returns the first block of configuration in a document that has the words.
func yamlBlock(t *testing.T, document, words string) string {
	t.Helper()
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(document, -1) {
		if strings.Contains(block[1], words) {
			return block[1]
		}
	}
	t.Fatalf("no block of configuration has %q", words)
	return ""
}
