package measure

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"skr/attest/snp"
	"skr/test/samples"
)

const (
	module = "# what may run\npackage agent_policy\n\ndefault CreateContainerRequest := false\n"
)

var encoded = base64.StdEncoding.EncodeToString([]byte(module))

func manifest(kind, name, policy string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: %s\nmetadata:\n  name: %s\n  annotations:\n    %s: %s\n", kind, name, agentPolicy, policy)
}

const deployment = `apiVersion: apps/v1
kind: %s
metadata: {name: web}
spec:
  template:
    metadata:
      annotations:
        io.katacontainers.config.agent.policy: %s
`

func TestRead(t *testing.T) {
	cron := strings.ReplaceAll(fmt.Sprintf(deployment, "Job", encoded), "\n", "\n    ")
	cases := []struct {
		name, text string
		sources    []string
	}{
		{"rego", module, []string{"policy"}},
		{"base64", encoded, []string{"policy in base64"}},
		{"base64 with line breaks", encoded[:40] + "\r\n" + encoded[40:] + "\n", []string{"policy in base64"}},
		{"pod", manifest("Pod", "kafka", encoded), []string{`Pod "kafka"`}},
		{"pod, folded", manifest("Pod", "kafka", ">-\n      "+encoded), []string{`Pod "kafka"`}},
		{"pod, quoted", manifest("Pod", "kafka", `"`+encoded+`"`), []string{`Pod "kafka"`}},
		{"pod of a virtual node", strings.Replace(manifest("Pod", "kafka", encoded), agentPolicy, groupPolicy, 1), []string{`Pod "kafka"`}},
		{"deployment", fmt.Sprintf(deployment, "Deployment", encoded), []string{`Deployment "web"`}},
		{"stateful set", fmt.Sprintf(deployment, "StatefulSet", encoded), []string{`StatefulSet "web"`}},
		{"cron job", "kind: CronJob\nmetadata: {name: nightly}\nspec:\n  jobTemplate:\n    " + strings.Replace(cron, "kind: Job", "", 1),
			[]string{`CronJob "nightly"`}},
		{"documents", "---\n# none\n---\nkind: ConfigMap\ndata: {a: b}\n--- # next\n" + manifest("Pod", "a", encoded) + "---\r\n" + manifest("Pod", "b", encoded),
			[]string{`Pod "a"`, `Pod "b"`}},
		{"list", `{"kind":"List","items":[{"kind":"Pod","metadata":{"name":"a","annotations":{"` + agentPolicy + `":"` + encoded + `"}}}]}`, []string{`Pod "a"`}},
		{"no kind", "metadata: {annotations: {" + agentPolicy + ": " + encoded + "}}", []string{"object without kind"}},
		{"template", template(`"`+encoded+`"`, ""), []string{`containerGroups "cg"`}},
		{"template with tabs", strings.ReplaceAll(template(`"`+encoded+`"`, ""), " ", "\t"), []string{`containerGroups "cg"`}},
		{"profile", strings.ReplaceAll(template(`"`+encoded+`"`, ""), "containerGroups", "containerGroupProfiles"), []string{`containerGroupProfiles "cg"`}},
		{"parameter", template(`"[parameters('CcePolicy')]"`, `"ccePolicy": {"type":"string","defaultValue":"`+encoded+`"}`), []string{`containerGroups "cg"`}},
		{"member of a parameter", template(`"[parameters('p').aci.Policy]"`, `"p": {"defaultValue":{"aci":{"policy":"`+encoded+`"}}}`),
			[]string{`containerGroups "cg"`}},
		{"parameter file", `{"$schema":"x","parameters":{"cce":{"value":"` + encoded + `"},"n":{"value":1},"o":{"value":{"p":"` + encoded + `"}}}}`,
			[]string{`parameter "cce"`, `parameter "o.p"`}},
		{"JSON, one after the other", strings.Repeat(`{"kind":"Pod","metadata":{"name":"a","annotations":{"`+agentPolicy+`":"`+encoded+`"}}}`+"\n", 2),
			[]string{`Pod "a"`, `Pod "a"`}},
		{"manifest with a BOM", "\ufeff" + manifest("Pod", "a", encoded), []string{`Pod "a"`}},
		{"deployed group", `{"type":"Microsoft.ContainerInstance/containerGroups","name":"cg","confidentialComputeProperties":{"ccePolicy":"` + encoded + `"}}`,
			[]string{`containerGroups "cg"`}},
		{"nested, outer scope", nested("outer", "[parameters('p')]", encoded, "wrong", ""), []string{`containerGroups "cg"`}},
		{"nested, inner scope", nested("inner", "[parameters('p')]", "wrong", encoded, ""), []string{`containerGroups "cg"`}},
		{"nested, passed", nested("Inner", "[parameters('p')]", "wrong", "wrong", `"p":{"value":"`+encoded+`"}`), []string{`containerGroups "cg"`}},
	}
	for _, c := range cases {
		policies, err := Read([]byte(c.text))
		var sources []string
		for _, p := range policies {
			sources = append(sources, p.Source())
			if p.Digest() != sum(t, module) {
				t.Errorf("%s: digest %s", c.name, p.Digest())
			}
		}
		if err != nil || strings.Join(sources, "|") != strings.Join(c.sources, "|") {
			t.Errorf("%s: %q, %v; want %q", c.name, sources, err, c.sources)
		}
	}
}

func template(policy, parameters string) string {
	return `{ "parameters": {` + parameters + `}, "resources": [ { "type": "Microsoft.ContainerInstance/containerGroups",
 "name": "cg", "properties": { "confidentialComputeProperties": { "ccePolicy": ` + policy + ` } } } ] }`
}

// nested is a template inside a template. Both have a parameter p.
func nested(scope, policy, outer, inner, passed string) string {
	within := template(`"`+policy+`"`, `"p": {"defaultValue":"`+inner+`"}`)
	return `{"parameters":{"p":{"defaultValue":"` + outer + `"}},"resources":[{"type":"Microsoft.Resources/deployments","name":"d","properties":{
		"expressionEvaluationOptions":{"scope":"` + scope + `"},"parameters":{` + passed + `},"template":` + within + `}}]}`
}

// sum runs the tool that the documentation names.
func sum(t *testing.T, text string) string {
	t.Helper()
	run := exec.CommandContext(t.Context(), "sha256sum")
	run.Stdin = strings.NewReader(text)
	out, err := run.Output()
	if err != nil {
		t.Skipf("sha256sum is not installed: %v", err)
	}
	return strings.Fields(string(out))[0]
}

func TestReadRefuses(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"empty", "", "no policy is in it"},
		{"blank", " \n\n", "no policy is in it"},
		{"binary", "\xff\xff", "not UTF-8"},
		{"base64 of something", base64.StdEncoding.EncodeToString([]byte("hello")), "not of a policy in Rego"},
		{"word", "hello world", "no policy is in it"},
		{"manifest without", "kind: Pod\nmetadata: {name: a}\n", "annotation " + agentPolicy},
		{"template without", template("null", ""), "no policy is in it"},
		{"empty policy", template(`""`, ""), `containerGroups "cg": the ccePolicy cannot be used: it is empty`},
		{"number", template(`1`, ""), "is not a string"},
		{"Rego with a BOM", "\ufeff" + module, "save it as UTF-8 without a byte order mark"},
		{"no member of a parameter", template(`"[parameters('p').x]"`, `"p":{"defaultValue":{"y":"`+encoded+`"}}`), `parameter "p.x", which has no default value`},
		{"not initdata", initdataManifest("QUJD"), "cc_init_data cannot be used: it is not initdata"},
		{"initdata of another hash", initdataManifest(base64.StdEncoding.EncodeToString([]byte("version = \"0.1.0\"\nalgorithm = \"md5\"\n"))), `"md5" is none of`},
		{"initdata with two hashes", initdataManifest(base64.StdEncoding.EncodeToString([]byte("algorithm = \"sha256\"\nalgorithm = \"sha512\"\n"))), "twice"},
		{"initdata, broken gzip", initdataManifest("H4sIAAAA"), "gzip"},
		{"not base64", manifest("Pod", "a", "'%%%'"), `Pod "a": the annotation ` + agentPolicy + " cannot be used: it is not standard base64"},
		{"base64url", manifest("Pod", "a", "'_-_-'"), "not standard base64"},
		{"stray bits", manifest("Pod", "a", "'QR=='"), "not standard base64"},
		{"parameter without default", template(`"[parameters('p')]"`, `"p":{"type":"string"}`), `parameter "p", which has no default value`},
		{"empty default", template(`"[parameters('p')]"`, `"p":{"defaultValue":""}`), `no default value`},
		{"default is an object", template(`"[parameters('p')]"`, `"p":{"defaultValue":{}}`), `no default value`},
		{"default is an expression", template(`"[parameters('p')]"`, `"p":{"defaultValue":"[base64('x')]"}`), `an expression itself`},
		{"undeclared", template(`"[parameters('q')]"`, ``), `"q", which the template does not declare`},
		{"expression", template(`"[base64(variables('p'))]"`, ``), `only [parameters('NAME')] and its members`},
		{"inner parameter hidden", nested("outer", "[parameters('q')]", encoded, encoded, ""), "does not declare"},
		{"broken JSON", `{"a":`, "looks like JSON"},
		{"broken YAML", "a: [", "document 1 is neither"},
		{"member twice", "kind: Pod\nkind: Job\n", "document 1 is neither"},
		{"deep", strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "nested deeper"},
		{"many documents", strings.Repeat("---\n", maxDocuments+1), "more than 1000 documents"},
		{"many policies", `{"items":[` + strings.Repeat(`{"metadata":{"annotations":{"`+agentPolicy+`":"QQ=="}}},`, maxPolicies) +
			`{"metadata":{"annotations":{"` + agentPolicy + `":"QQ=="}}}]}`, "more than 1000 policies"},
	}
	for _, c := range cases {
		policies, err := Read([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "reading the workload: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v; want %q", c.name, policies, err, c.want)
		}
	}
	if _, err := Read(bytes.Repeat([]byte(" "), maxFile+1)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a large file: %v", err)
	}
}

// A policy of many megabytes, as for containers with hundreds of layers.
func TestReadLargePolicy(t *testing.T) {
	large := module + strings.Repeat("# layer 0123456789abcdef\n", 200_000)
	policies, err := Read([]byte(manifest("Pod", "large", base64.StdEncoding.EncodeToString([]byte(large)))))
	if err != nil || len(policies) != 1 || policies[0].Digest() != sum(t, large) {
		t.Errorf("%v, %v", policies, err)
	}
}

// The policies of genuine container groups hash to the HOST_DATA of their reports.
func TestGenuinePolicies(t *testing.T) {
	report, err := snp.Parse(samples.Read(t, "aci-milan/snp_report.bin"))
	if err != nil {
		t.Fatal(err)
	}
	policies, err := Read(samples.Read(t, "aci-milan/uvm_security_policy.base64"))
	if err != nil || policies[0].Digest() != report.HostData().String() {
		t.Errorf("%v, %v; the report has %s", policies, err, report.HostData())
	}
	const allowAll = "73973b78d70cc68353426de188db5dfc57e5b766e399935fb73a61127ea26d20"
	policies, err = Read(samples.Read(t, "aci-security-context/security-policy-base64"))
	if err != nil || len(policies) != 1 {
		t.Fatalf("%v, %v", policies, err)
	}
	t.Logf("aci-security-context: %s, allow-all: %v", policies[0].Digest(), policies[0].Digest() == allowAll)
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		module, encoded, manifest("Pod", "a", encoded), fmt.Sprintf(deployment, "Job", encoded) + "---\n" + manifest("Pod", "b", encoded),
		template(`"[parameters('p')]"`, `"p":{"defaultValue":"`+encoded+`"}`), nested("inner", "[parameters('p')]", "", encoded, ""),
		"a: &a [*a]", "{", "- - - -", "? ? ? x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		policies, err := Read(data)
		if (err == nil) != (len(policies) > 0) {
			t.Fatalf("%d policies, %v", len(policies), err)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Fatalf("the error has several lines: %q", err)
		}
		for _, p := range policies {
			if len(p.Digest()) != 64 || p.Source() == "" || strings.ContainsAny(p.Source(), "\r\n") {
				t.Fatalf("%q %s", p.Source(), p.Digest())
			}
		}
	})
}

func initdataManifest(value string) string {
	return strings.Replace(manifest("Pod", "a", value), agentPolicy, initdataAnnotations[0], 1)
}

const toml = "# initdata\nalgorithm = 'sha384'\n\"version\" = \"0.1.0\" # of the form\n\n[data]\n\"policy.rego\" = '''\npackage agent_policy\n" +
	"default CreateContainerRequest := true\n'''\n"

// HOST_DATA is the digest of initdata with its named algorithm, as sha384sum computes it.
func TestInitdata(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(toml)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"TOML": toml, "gzip in base64": base64.StdEncoding.EncodeToString(packed.Bytes()),
		"pod":              initdataManifest(base64.StdEncoding.EncodeToString(packed.Bytes())),
		"pod without gzip": initdataManifest(base64.StdEncoding.EncodeToString([]byte(toml))),
	} {
		policies, err := Read([]byte(text))
		if err != nil || len(policies) != 1 {
			t.Errorf("%s: %v, %v", name, policies, err)
			continue
		}
		const sum384 = "3399a8d03be95755bd70982cc94cd225ba2d467dfb2a13620e5f92b2b6952e29"
		p := policies[0]
		warnings := strings.Join(p.Warnings(), "\n")
		if p.Digest() != sum384 || !p.AllowsEverything() || !strings.Contains(warnings, "shorter than a digest by sha384") ||
			!strings.Contains(warnings, "allows every container") {
			t.Errorf("%s: %s, %q", name, p.Digest(), warnings)
		}
	}
}

func TestRealInitdata(t *testing.T) {
	for file, want := range map[string]int{"pod-initdata.yaml": 1, "pod-both.yaml": 2, "initdata.toml": 1} {
		policies, err := Read(samples.Read(t, "turn2/15-forms", file))
		if err != nil || len(policies) != want {
			t.Errorf("%s: %v, %v", file, policies, err)
			continue
		}
		if policies[0].Digest() != sum(t, string(samples.Read(t, "turn2/15-forms/initdata.toml"))) {
			t.Errorf("%s: %s", file, policies[0].Digest())
		}
		if both := strings.Contains(strings.Join(policies[0].Warnings(), ""), "has both annotations"); both != (want == 2) {
			t.Errorf("%s: warnings %q", file, policies[0].Warnings())
		}
	}
}

// A policy with rules of its own about containers is not passed over in silence.
func TestCustomRulesAreReported(t *testing.T) {
	for text, want := range map[string]bool{
		"package policy\ncreate_container := data.framework.create_container\n":       false,
		"package policy\ncreate_container := {\"allowed\": true} { input.x }\n":       true,
		"package policy\nimport future.keywords\ncreate_container contains input.x\n": true,
	} {
		policies, err := Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(policies[0].Warnings(), "\n"), "rules of its own"); got != want {
			t.Errorf("%v, want %v: %s", got, want, text)
		}
	}
}
