package template

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"skr/releasepolicy"
)

// policies have characters that mean something in one of the languages.
var policies = []string{
	`{"version":"1.0.0","anyOf":[{"authority":"https://mine.weu.attest.azure.net","allOf":[{"claim":"x-ms-attestation-type","equals":"sevsnpvm"}]}]}`,
	"{\n  \"version\": \"1.0.0\",\n  \"anyOf\": [{\"authority\": \"https://mine.weu.attest.azure.net\", \"allOf\": [\n" +
		"    {\"claim\": \"a\", \"equals\": \"${x} $${y} %{z} '''quoted''' `b` $HOME \\\\ \\\"q\\\"\"},\n" +
		"    {\"claim\": \"b\", \"equals\": \"*/ // # \\n POLICY \\u00e9 é [x]\"}]}]\n}\n",
}

func parse(t *testing.T, text string) *releasepolicy.Policy {
	t.Helper()
	policy, err := releasepolicy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

// readers decode what a tool takes for the policy.
var readers = map[Tool]func(*testing.T, []byte) string{ARM: readARM, Bicep: readBicep, CLI: readScript}

// TestReadBack: a reader of each language gets the policy, byte for byte. The module
// test/manifests reads the texts for Terraform with the parser of HCL.
func TestReadBack(t *testing.T) {
	for tool, read := range readers {
		for _, policy := range policies {
			text, err := Write(tool, parse(t, policy))
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, text); strings.TrimSpace(got) != strings.TrimSpace(policy) {
				t.Errorf("%s: got %s\nwant %s\nfrom %s", tool, got, policy, text)
			}
		}
	}
}

func decode(t *testing.T, data string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.Strict().DecodeString(data)
	if err != nil {
		t.Fatalf("release_policy.data is not base64url: %v: %s", err, data)
	}
	return string(text)
}

// key is the resource of a template.
type key struct {
	Type, APIVersion, Name string
	Properties             struct {
		Kty           string
		KeySize       int
		KeyOps        []string
		Attributes    struct{ Enabled, Exportable bool }
		ReleasePolicy struct{ ContentType, Data string } `json:"release_policy"`
	}
}

func (k key) check(t *testing.T) {
	t.Helper()
	p := k.Properties
	if k.Type != "Microsoft.KeyVault/vaults/keys" || k.APIVersion != "2026-02-01" || p.Kty != "RSA-HSM" || p.KeySize != 3072 ||
		strings.Join(p.KeyOps, " ") != "wrapKey unwrapKey encrypt decrypt" || !p.Attributes.Enabled || !p.Attributes.Exportable ||
		p.ReleasePolicy.ContentType != "application/json; charset=utf-8" {
		t.Errorf("the key is %+v", k)
	}
}

func readARM(t *testing.T, text []byte) string {
	t.Helper()
	var template struct {
		Schema     string `json:"$schema"`
		Parameters map[string]struct{ Type string }
		Resources  []key
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&template); err != nil || len(template.Resources) != 1 || !strings.Contains(template.Schema, "deploymentTemplate.json#") {
		t.Fatalf("%v in %s", err, text)
	}
	for _, name := range []string{"vaultName", "keyName"} {
		if template.Parameters[name].Type != "string" || !strings.Contains(template.Resources[0].Name, "parameters('"+name+"')") {
			t.Errorf("the parameter %s is not used: %s", name, text)
		}
	}
	template.Resources[0].check(t)
	return decode(t, template.Resources[0].Properties.ReleasePolicy.Data)
}

var (
	bicepResource = regexp.MustCompile(`(?ms)^resource key '([^']+)@([^']+)' = (\{\n.*^\})\n`)
	bicepMember   = regexp.MustCompile(`(?m)^( *)([A-Za-z_]+): `)
)

// readBicep turns the object of the resource into JSON: members get quotation marks, lines
// get commas. It fails for what is not in the object, such as a comment.
func readBicep(t *testing.T, text []byte) string {
	t.Helper()
	found := bicepResource.FindSubmatch(text)
	if found == nil {
		t.Fatalf("no resource in %s", text)
	}
	object := bicepMember.ReplaceAllString(string(found[3]), `$1"$2": `)
	object = strings.NewReplacer("'", `"`, `"parent": vault`, `"parent": "vault"`, `"name": keyName`, `"name": "keyName"`).Replace(object)
	object = regexp.MustCompile(`([^\[{\n])\n( *)([^ \]}])`).ReplaceAllString(object, "$1,\n$2$3")
	k := key{Type: string(found[1]), APIVersion: string(found[2])}
	if err := json.Unmarshal([]byte(object), &k); err != nil {
		t.Fatalf("%v in %s", err, object)
	}
	k.check(t)
	return decode(t, k.Properties.ReleasePolicy.Data)
}

// readScript runs the script. A function named az prints its arguments.
func readScript(t *testing.T, text []byte) string {
	t.Helper()
	dir := t.TempDir()
	run := exec.Command("sh", "-eu", "-c", "az() { printf '%s\\n' \"$@\"; }\nVAULT=v KEY='k k'\n"+string(text))
	run.Dir = dir
	out, err := run.CombinedOutput()
	want := strings.Fields("keyvault key create --vault-name v --name k_k --kty RSA-HSM --size 3072 --ops wrapKey unwrapKey encrypt decrypt " +
		"--exportable true --policy release-policy.json")
	if err != nil || string(out) != strings.ReplaceAll(strings.Join(want, "\n"), "_", " ")+"\n" {
		t.Fatalf("%v\n%s", err, out)
	}
	policy, err := os.ReadFile(filepath.Join(dir, "release-policy.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(policy)
}

func TestParseTool(t *testing.T) {
	for _, tool := range Tools() {
		if got, err := ParseTool(string(tool)); err != nil || got != tool {
			t.Errorf("%s: got %s, %v", tool, got, err)
		}
		if text, err := Write(tool, parse(t, policies[0])); err != nil || !bytes.HasSuffix(text, []byte("\n")) {
			t.Errorf("%s: %v, %s", tool, err, text)
		}
	}
	if _, err := ParseTool("pulumi"); err == nil {
		t.Error("pulumi is a tool")
	}
	if _, err := Write("pulumi", parse(t, policies[0])); err == nil {
		t.Error("a text for pulumi was written")
	}
}
