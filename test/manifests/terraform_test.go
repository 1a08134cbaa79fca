package manifests

import (
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	keytemplate "skr/internal/operator/template"
	"skr/releasepolicy"
)

// inHCL has what begins a template in HCL.
const inHCL = `{"version":"1.0.0","anyOf":[{"authority":"https://mine.weu.attest.azure.net","allOf":[
  {"claim":"a","equals":"${var.x} %{if} $${y} \" \\ # é"}]}]}`

// TestTerraform reads the keys for Terraform's providers with the parser of HCL.
func TestTerraform(t *testing.T) {
	for tool, read := range map[keytemplate.Tool]func(*testing.T, *hclsyntax.Body) string{keytemplate.Terraform: readAzurerm, keytemplate.AzAPI: readAzAPI} {
		policy, err := releasepolicy.Parse([]byte(inHCL))
		if err != nil {
			t.Fatal(err)
		}
		text, err := keytemplate.Write(tool, policy)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, parseHCL(t, text)); got != inHCL {
			t.Errorf("%s: got %s\nwant %s\nin %s", tool, got, inHCL, text)
		}
		flags := []string{"policy", "new", "--platform", "cvm", "--authority", "mine.weu.attest.azure.net", "--measurement", strings.Repeat("ab", 48)}
		want, err := exec.Command(skrctl, flags...).Output()
		if err != nil {
			t.Fatal(err)
		}
		text, err = exec.Command(skrctl, append(flags, "--output", string(tool))...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, parseHCL(t, text)); got != strings.TrimSpace(string(want)) {
			t.Errorf("%s: got %s\nwant %s", tool, got, want)
		}
	}
}

// parseHCL returns the body of the only resource, with the variables that it uses.
func parseHCL(t *testing.T, text []byte) *hclsyntax.Body {
	t.Helper()
	file, problems := hclsyntax.ParseConfig(text, "key.tf", hcl.InitialPos)
	if problems.HasErrors() {
		t.Fatalf("%v\n%s", problems, text)
	}
	var resources, variables []*hclsyntax.Block
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		switch block.Type {
		case "resource":
			resources = append(resources, block)
		case "variable":
			variables = append(variables, block)
		}
	}
	if len(resources) != 1 || len(variables) != 2 {
		t.Fatalf("%d resources and %d variables in %s", len(resources), len(variables), text)
	}
	return resources[0].Body
}

// value evaluates an attribute where the variables have their names as values.
func value(t *testing.T, body *hclsyntax.Body, name string) cty.Value {
	t.Helper()
	attribute, found := body.Attributes[name]
	if !found {
		t.Fatalf("no attribute %s", name)
	}
	variables := cty.ObjectVal(map[string]cty.Value{"key_name": cty.StringVal("key_name"), "key_vault_id": cty.StringVal("key_vault_id")})
	got, problems := attribute.Expr.Value(&hcl.EvalContext{Variables: map[string]cty.Value{"var": variables}})
	if problems.HasErrors() {
		t.Fatalf("%s: %v", name, problems)
	}
	return got
}

func expect(t *testing.T, body *hclsyntax.Body, name string, want cty.Value) {
	t.Helper()
	if got := value(t, body, name); !got.RawEquals(want) {
		t.Errorf("%s is %#v, want %#v", name, got, want)
	}
}

// operations of the key, as a tuple of HCL.
var operations = cty.TupleVal([]cty.Value{
	cty.StringVal("wrapKey"), cty.StringVal("unwrapKey"), cty.StringVal("encrypt"), cty.StringVal("decrypt"),
})

func readAzurerm(t *testing.T, body *hclsyntax.Body) string {
	t.Helper()
	for name, want := range map[string]cty.Value{
		"name": cty.StringVal("key_name"), "key_vault_id": cty.StringVal("key_vault_id"), "key_type": cty.StringVal("RSA-HSM"),
		"key_size": cty.NumberIntVal(3072), "key_opts": operations,
	} {
		expect(t, body, name, want)
	}
	if len(body.Blocks) != 1 || body.Blocks[0].Type != "release_policy" || len(body.Blocks[0].Body.Attributes) != 1 {
		t.Fatalf("the blocks are %v", body.Blocks)
	}
	return strings.TrimSpace(value(t, body.Blocks[0].Body, "json").AsString())
}

func readAzAPI(t *testing.T, body *hclsyntax.Body) string {
	t.Helper()
	expect(t, body, "type", cty.StringVal("Microsoft.KeyVault/vaults/keys@2026-02-01"))
	expect(t, body, "name", cty.StringVal("key_name"))
	expect(t, body, "parent_id", cty.StringVal("key_vault_id"))
	properties := value(t, body, "body").GetAttr("properties").AsValueMap()
	data := properties["release_policy"].AsValueMap()["data"].AsString()
	for name, want := range map[string]cty.Value{
		"kty": cty.StringVal("RSA-HSM"), "keySize": cty.NumberIntVal(3072), "keyOps": operations,
		"attributes": cty.ObjectVal(map[string]cty.Value{"enabled": cty.True, "exportable": cty.True}),
		"release_policy": cty.ObjectVal(map[string]cty.Value{
			"contentType": cty.StringVal("application/json; charset=utf-8"), "data": cty.StringVal(data),
		}),
	} {
		if !properties[name].RawEquals(want) {
			t.Errorf("%s is %#v, want %#v", name, properties[name], want)
		}
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
