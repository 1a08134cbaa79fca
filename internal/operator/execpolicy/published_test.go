package execpolicy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The published policies differ in form. These have the members and values of
//
//   - confcom: Azure/azure-cli-extensions, src/confcom/samples/aci (2026)
//   - example: microsoft/confidential-aci-examples, tests/simple_server (2023)
//   - hcsshim: microsoft/hcsshim, pkg/securitypolicy, policy_with_platform_rules.rego,
//     policy_v0.10.0_api_test.rego and fragment_test_policies (2026)
const (
	infraIssuer = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.3"
	infraFeed   = "mcr.microsoft.com/aci/aci-cc-infra-fragment"
	infraPhrase = "that a certificate with purpose 1.3.6.1.4.1.311.76.59.1.3 signs for feed " + infraFeed + " with svn ≥ "
	contosoName = "did:x509:0:sha256:8OhuTqQPbrbDMXV9QentXIIRWqcmU_B88n8jPr1WsBc::subject:CN:Contoso"
)

func importOf(feed, issuer, svn string, includes ...string) string {
	return fmt.Sprintf(`{"feed": %q, "includes": ["%s"], "issuer": %q, "minimum_svn": %q}`, feed, strings.Join(includes, `", "`), issuer, svn)
}

// framework are rules in the names of which each policy hands the decision to the framework.
func framework(names ...string) (rules string) {
	for _, name := range append([]string{"mount_device", "mount_overlay", "create_container", "load_fragment"}, names...) {
		rules += name + " := data.framework." + name + "\n"
	}
	return rules + "reason := {\"errors\": data.framework.errors}\n"
}

const (
	workload = `{"allow_elevated":false,"command":null,"env_rules":[{"pattern":"(?i)(FABRIC)_.+=.+","required":false,"strategy":"re2"}],` +
		`"exec_processes":[],"id":"r.example/base@sha256:00","layers":["%064d"],"mounts":[],"name":"one","signals":[9,15],` +
		`"user":{"group_idnames":[{"pattern":"","strategy":"any"}],"umask":"0022","user_idname":{"pattern":"","strategy":"any"}},"working_dir":"/"}`
	pause = `{"command":["/pause"],"env_rules":[],"layers":["%064d"],"name":"pause-container","signals":[9,15]}`
	// byName is a rule of framework 0.5.0.
	byName = `{"name":"(?i)(FABRIC)_.+","name_strategy":"re2","value":".+","value_strategy":"re2"}`
)

// published are policies with what the package reads in them.
var published = map[string]struct {
	text                string
	containers          int
	signals             []int // of the first container
	imports, rules      []string
	unread              string
	apiVersion, version string
}{
	"confcom, fragment and infrastructure": {
		"package policy\nimport future.keywords.every\nimport future.keywords.in\napi_version := \"0.12.0\"\nframework_version := \"0.5.0\"\n" +
			"fragments := [\n" + importOf(infraFeed, infraIssuer, "4", "containers", "fragments") + ",\n" +
			importOf("r.example/hello", contosoName, "1", "containers", "fragments") + "\n]\n" +
			fmt.Sprintf("containers := ["+workload+","+pause+"]\n", 1, 2) + "allow_host_network := false\n" +
			framework("rw_mount_device", "host_network", "load_transparency_trust_list"),
		2, []int{9, 15},
		[]string{
			"admits any container and further fragments " + infraPhrase + "4",
			`admits any container and further fragments that "Contoso" signs for feed r.example/hello with svn ≥ 1`,
		}, nil, "", "0.12.0", "0.5.0",
	},
	"example, old names and a semantic version": {
		"package policy\napi_svn := \"0.10.0\"\nframework_svn := \"0.1.0\"\nfragments := [" + importOf(infraFeed, infraIssuer, "1.0.0", "containers") + "]\n" +
			`containers := [{"allow_elevated":true,"command":["python","payload.py"],"env_rules":[],"layers":["00"],"mounts":[],"signals":[]}]` + "\n" +
			framework("exec_external"),
		1, []int{}, []string{"admits any container " + infraPhrase + "1.0.0"}, []string{"import-svn"}, "", "", "",
	},
	"hcsshim, platform rules": {
		"package policy\napi_version := \"0.12.0\"\nframework_version := \"0.5.0\"\n" +
			"fragments := [" + importOf("a_feed", "an:issuer", "0", "containers", "fragments") + "]\n" +
			"platform_rules := [{\"env_rules\": [" + byName + "], \"mounts\": []}]\n" +
			`containers := [{"command": [ "bash" ], "env_rules": [` + byName + `], "layers": ["00",], "signals": []}]` + "\n" + framework("mount_cims"),
		1, []int{}, []string{`admits any container and further fragments that "an:issuer" signs for feed a_feed with svn ≥ 0`},
		[]string{"import-svn", "import-feed", "import-issuer"}, "", "0.12.0", "0.5.0",
	},
	"hcsshim, one rule of its own": {
		"package policy\napi_version := \"0.10.0\"\nframework_version := \"0.3.0\"\n" +
			`containers := [{"command": ["bash"], "layers": ["00"]}]` + "\n" + framework() +
			"exec_external := {\"allowed\": true,\n                  \"env_list\": input.envList}\n",
		1, nil, nil, nil, "", "0.10.0", "0.3.0",
	},
	"hcsshim, a fragment with parameters": {
		"package fragment\nsvn := \"1\"\nframework_version := \"0.5.0\"\nparameters := {\"level\": {\"default\": \"info\"}}\n" +
			`fragments := [{"feed": "nested", "includes": ["containers"], "issuer": "nested:issuer", "minimum_svn": "1", "parameters": {"level": parameter("level")}}]` +
			"\n" + `containers := [{"command": parameter("command"), "env_rules": [` + byName + `], "layers": ["00"]}]` + "\n",
		0, nil, nil, nil, "rule containers: its value has parameters", "", "0.5.0",
	},
}

// TestPublished: each form is read, and explained in words.
func TestPublished(t *testing.T) {
	for name, c := range published {
		t.Run(name, func(t *testing.T) {
			p, err := Parse([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if (p.Unread == nil) != (c.unread == "") || p.Unread != nil && !strings.Contains(p.Unread.Error(), c.unread) {
				t.Errorf("not read: %v, want %q", p.Unread, c.unread)
			}
			if p.Custom() || p.AllowsEverything() {
				t.Error("the framework does not decide")
			}
			if len(p.Containers) != c.containers || c.containers > 0 && !slices.Equal(p.Containers[0].Signals, c.signals) {
				t.Errorf("containers %+v", p.Containers)
			}
			if p.APIVersion != c.apiVersion || p.FrameworkVersion != c.version {
				t.Errorf("versions %q, %q", p.APIVersion, p.FrameworkVersion)
			}
			var imports, rules []string
			for _, i := range p.Imports {
				imports = append(imports, i.String())
			}
			for _, f := range p.Findings() {
				rules = append(rules, f.Rule)
			}
			if !slices.Equal(imports, c.imports) || !slices.Equal(rules, c.rules) {
				t.Errorf("imports %q, findings %q", imports, rules)
			}
		})
	}
}
