package container

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"

	"skr/test/emulator/host"
	"skr/test/emulator/utilityvm"
	"skr/test/ocitest"
)

// fixed are the settings whose values a fragment names: they decide whom skr trusts, who gets
// keys, or how long a key is kept; or they are not for container groups.
var fixed = []string{
	"access", "keys", "maa_allow", "vault_allow", "amd_roots", "ak_roots", "ca_file", "authority_host", "federated_token_file", "wrap_keys",
	"key_cache_ttl", "max_stale", "ops_doctor", "report_source", "tpm", "event_log", "log_file", "audit_file", "cloud",
	"sinks", "key_refresh",
	"crypto_listen", "crypto_dir", "crypto_names", "ssh_agent_listen", "coco_listen", "coco",
	"intel_roots", "tcb_status", "collateral_sources", "pccs_url", "pcs_url", "intel_root_crl_url",
}

// TestFragment: with a signer, make image attaches a fragment to the image. A group whose
// execution policy only imports it starts the container, with the settings that it admits.
func TestFragment(t *testing.T) {
	signer := newSigner(t)
	registry := ocitest.StartRegistry(t)
	feed := registry + "/contoso/skr"
	env := filepath.Join(t.TempDir(), "fixed.env")
	if err := os.WriteFile(env, []byte("# values of ours\nSKR_VAULT_ALLOW=orders.vault.azure.net/keys/orders\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := build(t, append(signer, "FRAGMENT_FEED="+feed, "FRAGMENT_SVN=3", "FRAGMENT_ENV="+env)...)
	if found := readImage(t, filepath.Join(dir, "skr.tar")); found.digest == "" {
		t.Error("the archive has no image")
	}
	push(t, filepath.Join(dir, "skr"), registry)

	settings := variables(t)
	wanted := slices.Concat([]string{"SKR_VAULT_ALLOW=orders.vault.azure.net/keys/orders", "SkrSideCarArgs=e30=", "Port=8080",
		"VN2_THIM_ENDPOINT=http://169.254.128.1:2377/metadata/THIM/amd/certification"}, settings.admitted)
	refused := slices.Concat([]string{"SKR_VAULT_ALLOW=other.vault.azure.net", "SKR_CONFIG=/x", "SSL_CERT_FILE=/x", "OTEL_EXPORTER_OTLP_ENDPOINT=x"},
		settings.fixed)
	image, err := host.Pull(t.Context(), feed+":v1.2.3", slices.Concat(wanted, refused)...)
	if err != nil || len(image.Fragments) != 1 {
		t.Fatalf("the image has %d fragments; %v", len(image.Fragments), err)
	}
	kept := start(t, image, filepath.Join(dir, "skr-import.json"))
	for _, variable := range wanted {
		if !slices.Contains(kept, variable) {
			t.Errorf("the utility VM drops %s", variable)
		}
	}
	for _, variable := range refused {
		if slices.Contains(kept, variable) {
			t.Errorf("the fragment admits %s", variable)
		}
	}
	rego, err := os.ReadFile(filepath.Join(dir, "skr.rego"))
	if err != nil || !strings.Contains(string(rego), `"id":"`+feed+`:v1.2.3"`) || strings.Contains(string(rego), dir) {
		t.Errorf("the fragment does not name the image %s: %v", feed, err)
	}
}

// TestFragmentNeedsAll: without one of the signer's values there is no fragment.
func TestFragmentNeedsAll(t *testing.T) {
	for _, name := range []string{"CHAIN", "FEED", "SVN"} {
		given := map[string]string{"KEY": "k", "CHAIN": "c", "FEED": "f", "SVN": "1"}
		delete(given, name)
		run := exec.Command("sh", "deploy/image/fragment.sh", t.TempDir(), "v1")
		run.Dir, run.Env = root, []string{"PATH=" + os.Getenv("PATH")}
		for key, value := range given {
			run.Env = append(run.Env, "FRAGMENT_"+key+"="+value)
		}
		if out, err := run.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("FRAGMENT_"+name+" is not set")) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// newSigner returns the variables of build.sh for a signer with keys of openssl.
func newSigner(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	run := exec.Command("sh", "-eu", "-c", `
openssl ecparam -name secp384r1 -genkey -noout -out root.key
openssl req -x509 -new -key root.key -sha384 -days 1 -subj "/CN=Contoso root" -out root.pem \
	-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl ecparam -name secp384r1 -genkey -noout -out signer.key
openssl req -new -key signer.key -subj "/CN=Contoso skr" -out signer.csr
printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n' >signer.ext
openssl x509 -req -in signer.csr -CA root.pem -CAkey root.key -CAcreateserial -days 1 -sha384 -extfile signer.ext -out signer.pem
cat signer.pem root.pem >chain.pem`)
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []string{"FRAGMENT_KEY=" + dir + "/signer.key", "FRAGMENT_CHAIN=" + dir + "/chain.pem"}
}

// push copies the image with what is attached to it.
func push(t *testing.T, layout, registry string) {
	t.Helper()
	store, err := oci.New(layout)
	if err != nil {
		t.Fatal(err)
	}
	repository := ocitest.Repository(t, registry, "contoso/skr")
	if _, err := oras.ExtendedCopy(t.Context(), store, "skr:v1.2.3", repository, "v1.2.3", oras.DefaultExtendedCopyOptions); err != nil {
		t.Fatal(err)
	}
}

// start runs the image in a utility VM whose policy has the import rule alone, and returns the
// variables that the container gets.
func start(t *testing.T, image host.Image, rulePath string) []string {
	t.Helper()
	rule, err := os.ReadFile(rulePath)
	if err != nil {
		t.Fatal(err)
	}
	vm, err := utilityvm.New(fmt.Appendf(nil, "package policy\n\nfragments := [%s]\ncreate_container := data.framework.create_container\n", rule))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vm.CreateContainer(image.Container); err == nil {
		t.Error("the container starts without its fragment")
	}
	if err := vm.LoadFragment(image.Fragments[0]); err != nil {
		t.Fatal(err)
	}
	kept, err := vm.CreateContainer(image.Container)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// variableKinds are variables with a value, by whether a fragment admits every value.
type variableKinds struct{ admitted, fixed []string }

// variables returns one of each setting in the documentation, which another test compares with
// the program.
func variables(t *testing.T) (all variableKinds) {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/reference/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(string(text), "<!-- end: settings -->")
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		variable := "SKR_" + strings.ToUpper(row[1]) + "=x"
		if slices.Contains(fixed, row[1]) {
			all.fixed = append(all.fixed, variable)
		} else {
			all.admitted = append(all.admitted, variable)
		}
	}
	if len(all.fixed) != len(fixed) || len(all.admitted) < 25 {
		t.Errorf("the table has %d settings, and %d of %d that a fragment fixes", len(all.admitted)+len(all.fixed), len(all.fixed), len(fixed))
	}
	return all
}
