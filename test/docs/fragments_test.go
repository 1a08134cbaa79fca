package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"skr/test/emulator"
	"skr/test/ocitest"
	"skr/test/program"
)

// deployed are the blocks of the Azure CLI in docs/fragments.md. The policy of its extension
// is replaced with one that has the same imports.
var deployed = []standIn{
	{"az confcom acipolicygen", `
printf 'package policy\n\nfragments := %s\n\ncreate_container := data.framework.create_container\n' \
	"$(sed 's/^{"fragments": //; $ s/}$//' fragments.json)" >policy.rego
printf '{"type": "Microsoft.ContainerInstance/containerGroups", "name": "orders",
	"properties": {"confidentialComputeProperties": {"ccePolicy": "%s"}}}' "$(base64 -w0 policy.rego)" >template.json
`},
	{"appImage=$REGISTRY/orders:1", "deploy $REGISTRY/orders:1\n"},
	{"appImage=$REGISTRY/orders:2", "deploy $REGISTRY/orders:2\n"},
	{"appImage=$REGISTRY/orders:3", "deploy $REGISTRY/orders:3\n"},
}

// deploy asks the test to start a group with an image, and runs skr in it.
const deploy = `
deploy() {
	[ -z "${sidecar-}" ] || { kill $sidecar; wait $sidecar || true; }
	sidecar=
	curl -s -o answer --data "$1" -w '%{http_code}' $GROUPS_URL >status
	if [ "$(cat status)" != 200 ]; then cat answer; return 0; fi
	. ./answer
	skr 2>skr.log &
	sidecar=$!
	skr healthcheck --wait 20s
}
`

// refused are fragments that the import does not admit, each beside an image of its own.
const refused = `
attempt() {
	skrctl fragment sign $2 --key $3.key --chain $3-chain.pem --feed $4 --out orders-$1.cose
	skrctl fragment attach orders-$1.cose $REGISTRY/orders:$1
	echo "attempt $1"
	deploy $REGISTRY/orders:$1
}
rego() { skrctl fragment new $REGISTRY/orders:$1 --namespace orders --svn $2 --env LOG_LEVEL=info --out orders-$1.rego; }
cp signer.key mine.key
cp chain.pem mine-chain.pem
openssl ecparam -name secp384r1 -genkey -noout -out other.key
openssl req -x509 -new -key root.key -sha384 -days 1 -subj "/CN=Contoso root" -out other-root.pem \
	-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl req -new -key other.key -subj "/CN=Contoso orders" -out other.csr
openssl x509 -req -in other.csr -CA other-root.pem -CAkey root.key -CAcreateserial -days 1 -sha384 -extfile signer.ext -out other.pem
cat other.pem other-root.pem >other-chain.pem
rego issuer 9
attempt issuer orders-issuer.rego other $REGISTRY/orders
rego feed 9
attempt feed orders-feed.rego mine $REGISTRY/other
rego low 1
sed -i 's/^svn := "1"/svn := "0"/' orders-low.rego
attempt low orders-low.rego mine $REGISTRY/orders
echo "attempt unsigned"
deploy $REGISTRY/orders:unsigned
`

// TestFragments follows docs/fragments.md with keys of openssl, a registry on loopback and the
// emulated cloud. Then it tries images whose fragments the utility VM must refuse.
func TestFragments(t *testing.T) {
	registry := ocitest.StartRegistry(t)
	repository := ocitest.Repository(t, registry, "contoso/orders")
	for _, tag := range []string{"1", "2", "3", "issuer", "feed", "low", "unsigned"} {
		if err := ocitest.Push(t.Context(), repository, tag, "build "+tag); err != nil {
			t.Fatal(err)
		}
	}
	cloud, dir, port := program.Cloud(t, emulator.Config{}), t.TempDir(), freePort(t)
	bin := filepath.Join(dir, "bin")
	build(t, bin)
	text, err := os.ReadFile(root + "/docs/fragments.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := strings.ReplaceAll(walk(t, string(text), deployed), "localhost:8080", "localhost:"+port)
	prelude := fmt.Sprintf("export PATH=%s:$PATH REGISTRY=%s/contoso MAA=%s VAULT=%s SKR_LISTEN=localhost:%s GROUPS_URL=%s\n%s%s",
		bin, registry, cloud.AttestationHost(), cloud.Host("orders", "vault"), port, serveGroups(t, cloud, dir), exports(cloud.Environment(cloud.Machine())), deploy)
	out := runScript(t, dir, prelude+commands+refused)
	walked, attempts, _ := strings.Cut(out, "attempt issuer\n")
	checkWalk(t, walked, registry)
	checkRefused(t, "attempt issuer\n"+attempts)
}

func checkWalk(t *testing.T, out, registry string) {
	t.Helper()
	for _, want := range []string{
		`note: template.json: containerGroups "orders": this policy admits any container that "Contoso orders" signs for feed ` +
			registry + "/contoso/orders with svn ≥ 1",
		"admitted by containerGroups", "fragment orders, svn 3, signature verified", `"minimum_svn": "3"`, "made https://orders.vault.",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the walk does not print %s:\n%.6000s", want, out)
		}
	}
	// Only the emulator's authority and its new key give reasons for warnings.
	for _, warning := range regexp.MustCompile(`(?m)^.*warning: .*$`).FindAllString(out, -1) {
		if !strings.Contains(warning, "authority-not-azure") && !strings.Contains(warning, "mutable-policy") {
			t.Errorf("the walk warns: %s", warning)
		}
	}
	keys := regexp.MustCompile(`\{"key":"\{[^\n]*?\}"\}`).FindAllString(out, -1)
	if len(keys) != 3 || len(slices.Compact(keys)) != 1 {
		t.Errorf("three groups got %d keys, or different ones:\n%.6000s", len(keys), out)
	}
	if hashes := regexp.MustCompile(`(?m)^[0-9a-f]{64}  containerGroups`).FindAllString(out, -1); len(hashes) < 2 || len(slices.Compact(hashes)) != 1 {
		t.Errorf("the hash of the execution policy changes: %q", hashes)
	}
}

// checkRefused: no group starts with a fragment that the import does not admit.
func checkRefused(t *testing.T, out string) {
	t.Helper()
	for name, want := range map[string]string{
		"issuer": "issuer is did:x509:", "feed": "/contoso/other, and the import wants ", "low": "svn is 0, and the import wants 1 or higher",
		"unsigned": "list no container",
	} {
		_, answer, _ := strings.Cut(out, "attempt "+name+"\n")
		answer, _, _ = strings.Cut(answer, "attempt ")
		if !strings.Contains(answer, "utility VM: refusing container ") || !strings.Contains(answer, want) {
			t.Errorf("%s: the group is not refused because of %q: %s", name, want, answer)
		}
	}
}
