package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skr/test/ocitest"
)

// TestFragments follows docs/fragments.md with keys of openssl and a registry on loopback. The
// policy of the Azure CLI is replaced with one that has the same imports.
func TestFragments(t *testing.T) {
	host := ocitest.StartRegistry(t)
	repository := ocitest.Repository(t, host, "contoso/orders")
	for _, tag := range []string{"1", "2", "3"} {
		if err := ocitest.Push(t.Context(), repository, tag, "build "+tag); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	build(t, bin)
	text, err := os.ReadFile(root + "/docs/fragments.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := walk(t, string(text), []standIn{{"az confcom acipolicygen", `
printf 'package policy\n\nfragments := %s\n\ncreate_container := data.framework.create_container\n' \
	"$(sed 's/^{"fragments": //; $ s/}$//' fragments.json)" >policy.rego
skrctl measure policy.rego >before.txt
`}})
	out := runScript(t, dir, fmt.Sprintf("export PATH=%s:$PATH REGISTRY=%s/contoso\n%s\nskrctl measure policy.rego | cmp - before.txt && echo hash is the same\n",
		bin, host, commands))
	for _, want := range []string{
		`note: policy.rego: policy: this policy admits any container that "Contoso orders" signs for feed ` + host + "/contoso/orders with svn ≥ 1",
		"admitted by policy, which admits any container", "fragment orders, svn 3, signature verified", `"minimum_svn": "3"`, "hash is the same",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the walk does not print %s:\n%.6000s", want, out)
		}
	}
	if strings.Contains(out, "warning:") {
		t.Errorf("the walk has warnings:\n%.6000s", out)
	}
}
