package execpolicy

import (
	"encoding/base64"
	"strings"
	"testing"

	"skr/test/samples"
)

const group0 = "package policy\napi_version := \"0.10.0\"\nmount_device := {\"allowed\": true}\nmount_overlay := {\"allowed\": true}\n"

func TestAllowsEverything(t *testing.T) {
	for text, want := range map[string]bool{
		group0 + `create_container := {"allowed": true, "allow_stdio_access": true}`:                                     true,
		group0 + "create_container :=\n  {\n    \"env_list\": null,\n    \"allowed\" : true\n  }\n":                      true,
		group0 + `create_container = {"allowed": true} # all`:                                                            true,
		group0 + `default create_container := {"allowed": true}`:                                                         true,
		group0 + `create_container := {"allowed": true} { true }`:                                                        true,
		group0 + `create_container := {"allowed": true} if true`:                                                         true,
		group0 + "create_container := all\nall := {\"allowed\": yes}\nyes := true":                                       true,
		"package policy\ncreate_container := {\"allowed\": true}":                                                        true,
		group0 + `create_container := data.framework.create_container`:                                                   false,
		group0 + `create_container := {"allowed": false}`:                                                                false,
		group0 + `create_container := {"metadata": {"allowed": true}, "allowed": false}`:                                 false,
		group0 + `create_container := {"note": "\"allowed\": true"}`:                                                     false,
		group0 + "x := `\ncreate_container := {\"allowed\": true}\n`":                                                    false,
		group0 + `# create_container := {"allowed": true}`:                                                               false,
		group0 + `create_container := {"allowed": true} if input.x`:                                                      false,
		group0 + `create_container := {"allowed": true} { input.x }`:                                                     false,
		group0 + "default create_container := {\"allowed\": true}\ncreate_container := {\"allowed\": false} { input.x }": false,
		group0 + "create_container := x\nx := create_container":                                                          false,
		strings.Replace(group0, `mount_overlay := {"allowed": true}`, "mount_overlay := data.framework.mount_overlay", 1) +
			`create_container := {"allowed": true}`: false,

		"package agent_policy\ndefault CreateContainerRequest := true":                                         true,
		"package agent_policy\nCreateContainerRequest { true }":                                                true,
		"package agent_policy\nimport future.keywords.if\nCreateContainerRequest if { true }":                  true,
		"package agent_policy\ndefault CreateContainerRequest := false\nAllowRequestsFailingPolicy := true":    true,
		"package agent_policy\ndefault CreateContainerRequest := false\n":                                      false,
		"package agent_policy\ndefault CreateContainerRequest := false\nCreateContainerRequest { input.a }":    false,
		"package agent_policy\nCreateContainerRequest[x] { true }":                                             false,
		"package agent_policy\ndefault AllowRequestsFailingPolicy := false\nCreateContainerRequest if input.x": false,

		"package other\ncreate_container := {\"allowed\": true}": false,
		"": false, "package": false, "package policy\ncreate_container := {": false, "package policy\ncreate_container :=": false,
	} {
		if got := allowsEverything([]byte(text)); got != want {
			t.Errorf("%v, want %v:\n%s", got, want, text)
		}
		if got := allowsEverything([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); got != want {
			t.Errorf("with CRLF %v, want %v:\n%s", got, want, text)
		}
	}
}

func TestRealPolicies(t *testing.T) {
	if !allowsEverything(samples.Read(t, "turn2/07-allow-all-policies/allow_all_policy.rego")) {
		t.Error("a published policy that allows everything is not seen as that")
	}
	for _, file := range []string{"aci-security-context/security-policy-base64", "aci-milan/uvm_security_policy.base64"} {
		text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(samples.Read(t, file))))
		if err != nil {
			t.Fatal(err)
		}
		if !allowsEverything(text) {
			t.Errorf("%s is not seen as a policy that allows everything", file)
		}
	}
}

func allowsEverything(text []byte) bool {
	p, err := Parse(text)
	return err == nil && p.AllowsEverything()
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		group0, "package policy\nx := {", "`", `"\`, "default", "package agent_policy;A if", "create_container := {\"allowed\":",
		"package policy\nfragments := [{\"issuer\": 1}]", "package policy\ncreate_container[x] { x := 1 }", "package a.b\nsvn := 3", "package n\nsvn := \"3\"\ncontainers := [x | x := 1]", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			return
		}
		p.AllowsEverything()
		p.Custom()
		for _, i := range p.Imports {
			_ = i.String()
			_ = i.Admits(i.Issuer, i.Feed, p.SVN)
		}
		p.Findings()
	})
}

// contoso is a fragment, and group a policy that imports it, as confcom lays them out
// (Azure/azure-cli-extensions, src/confcom/samples/fragments).
const (
	issuer  = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::subject:CN:Contoso"
	contoso = `package contoso

svn := "3"
framework_version := "0.2.3"

fragments := []

containers := [{"allow_elevated":false,"allow_stdio_access":true,"capabilities":{"ambient":[],"bounding":["CAP_KILL"],"effective":[],"inheritable":[],
"permitted":[]},"command":["python3","main.py"],"env_rules":[{"pattern":"TERM=xterm","required":false,"strategy":"string"}],"exec_processes":[],
"id":"registry.example/app:2","layers":["4e74440c7b0e6e6c1cc9e6eb9b779e1ffde807122ed8a16bb0422a1d64fd5aa8"],"mounts":[],"name":"app",
"no_new_privileges":false,"seccomp_profile_sha256":"","signals":[],"user":{"group_idnames":[{"pattern":"","strategy":"any"}],"umask":"0022",
"user_idname":{"pattern":"","strategy":"any"}},"working_dir":"/app"}]
`
	importing = `package policy

import future.keywords.every
import future.keywords.in

api_version := "0.10.0"
framework_version := "0.2.3"

fragments := [{"feed": "registry.example/app", "includes": ["containers"], "issuer": "` + issuer + `", "minimum_svn": "3"}]
containers := []
create_container := data.framework.create_container
mount_device := data.framework.mount_device
`
)

func TestParse(t *testing.T) {
	fragment, err := Parse([]byte(contoso))
	if err != nil {
		t.Fatal(err)
	}
	if !fragment.IsFragment() || fragment.Namespace != "contoso" || fragment.SVN != "3" || len(fragment.Containers) != 1 {
		t.Fatalf("the fragment is read as %+v", fragment)
	}
	if c := fragment.Containers[0]; c.ID != "registry.example/app:2" || c.User.Umask != "0022" || len(c.Layers) != 1 || !c.AllowStdioAccess {
		t.Errorf("the container is read as %+v", c)
	}
	policy, err := Parse([]byte(importing))
	if err != nil {
		t.Fatal(err)
	}
	if policy.IsFragment() || policy.Custom() || policy.AllowsEverything() || len(policy.Imports) != 1 {
		t.Fatalf("the policy is read as %+v", policy)
	}
	want := `admits any container that "Contoso" signs for feed registry.example/app with svn ≥ 3`
	if got := policy.Imports[0].String(); got != want {
		t.Errorf("the import is explained as %q, want %q", got, want)
	}
}

func TestAdmits(t *testing.T) {
	rule := Import{Issuer: issuer, Feed: "registry.example/app", MinimumSVN: "3", Includes: []string{"containers"}}
	for name, c := range map[string]struct {
		issuer, feed string
		svn          Number
		want         string
	}{
		"equal":          {issuer, rule.Feed, "3", ""},
		"newer":          {issuer, rule.Feed, "10", ""},
		"older":          {issuer, rule.Feed, "2", "svn is 2, and the import wants 3 or higher"},
		"another issuer": {issuer + "2", rule.Feed, "3", "issuer is "},
		"another feed":   {issuer, "registry.example/other", "3", "feed is "},
		"with a tag":     {issuer, rule.Feed + ":1", "3", "feed is "},
		"no number":      {issuer, rule.Feed, "1.0.0", `svn "1.0.0" is not a whole number`},
		"negative":       {issuer, rule.Feed, "-1", "is not a whole number"},
	} {
		err := rule.Admits(c.issuer, c.feed, c.svn)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"package p\nsvn := {":                       "the policy is not Rego: line 2",
		"svn := 3":                                  "the policy is not Rego: line 1",
		"":                                          "the policy is",
		"package p\nsvn := true":                    "rule svn: its value has the wrong form",
		"package p\nsvn := \"1\"\nsvn := \"2\"":     "rule svn: it is defined more than once",
		"package p\nsvn := x\nx := \"1\"":           "rule svn: its value is computed",
		"package p\nsvn := \"1\" { input.x }":       "rule svn: its value is computed",
		"package p\nfragments := [{\"issuer\": 7}]": "rule fragments: its value has the wrong form: issuer must not be a number",
		"package p\ncontainers := [c | c := input.all[_]]": "rule containers: its value is computed",
	} {
		p, err := Parse([]byte(text))
		if err == nil {
			err = p.Unread
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestCustom(t *testing.T) {
	for text, want := range map[string]bool{
		"package policy\ncreate_container := data.framework.create_container":             false,
		"package policy\ncreate_container := {\"allowed\": true}":                         true,
		"package policy\ncreate_container := data.framework.create_container { input.x }": true,
		"package policy\ncreate_container := data.other.create_container":                 true,
		"package policy\ncreate_container[x] { x := 1 }":                                  true,
		"package policy\nimport future.keywords\ncreate_container contains 1":             true,
		"package policy\ncreate_container(x) := true":                                     true,
		"package contoso\ncreate_container := {\"allowed\": true}":                        false,
	} {
		p, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if p.Custom() != want {
			t.Errorf("%v, want %v: %s", !want, want, text)
		}
	}
}

// A rule that cannot be read does not hide that a policy allows everything.
func TestUnreadRulesHideNothing(t *testing.T) {
	for _, odd := range []string{"svn := x\nx := 1", "containers := [c | c := input.all[_]]", "fragments := 7", "framework_version := true"} {
		p, err := Parse([]byte(group0 + "create_container := {\"allowed\": true}\n" + odd))
		if err != nil || p.Unread == nil || !p.AllowsEverything() {
			t.Errorf("%s: %v, unread %v", odd, err, p.Unread)
		}
	}
}

func TestFindings(t *testing.T) {
	const good = `{"feed": "registry.example/app", "includes": ["containers", "fragments"], "issuer": "` + issuer + `", "minimum_svn": "3"}`
	change := func(old, replacement string) string { return "[" + strings.Replace(good, old, replacement, 1) + "]" }
	for name, c := range map[string]struct{ imports, rule, text string }{
		"nothing":            {"[" + good + "]", "", ""},
		"number":             {change(`"3"`, `3`), "", ""},
		"port of a registry": {change("registry.example/app", "localhost:5000/app"), "", ""},
		"svn 0":              {change(`"3"`, `"0"`), "import-svn", "allows a rollback"},
		"no svn":             {change(`, "minimum_svn": "3"`, ``), "import-svn", "no minimum_svn"},
		"semantic version":   {change(`"3"`, `"1.0.0"`), "import-svn", "not a whole number"},
		"tag":                {change("example/app", "example/app:1"), "import-feed", "no tag or digest"},
		"digest":             {change("example/app", "example/app@sha256:00"), "import-feed", "no tag or digest"},
		"tag after a port":   {change("registry.example/app", "localhost:5000/app:1"), "import-feed", "no tag or digest"},
		"no repository":      {change("registry.example/app", "app"), "import-feed", "must be REGISTRY/REPOSITORY"},
		"address":            {change("registry.example/app", "https://registry.example/app"), "import-feed", "must be REGISTRY/REPOSITORY"},
		"issuer":             {change("did:x509", "did:web"), "import-issuer", "does not begin with"},
		"namespace":          {change(`"fragments"]`, `"namespace"]`), "import-includes", "takes part in every decision"},
		"external processes": {change(`"fragments"]`, `"external_processes"]`), "import-includes", "outside of containers"},
		"platform rules":     {change(`"fragments"]`, `"platform_rules"]`), "import-includes", "mounts and variables"},
		"unknown part":       {change(`"fragments"]`, `"everything"]`), "import-includes", `"everything" in includes is unknown`},
		"no part":            {change(`["containers", "fragments"]`, `[]`), "import-includes", "admits nothing"},
		"container of the feed": {"[" + good + "]\ncontainers := [{\"id\": \"registry.example/app:2\", \"name\": \"app\"}]",
			"container-in-feed", `"app" of registry.example/app`},
		"container of another": {"[" + good + "]\ncontainers := [{\"id\": \"registry.example/db:2\", \"name\": \"db\"}]", "", ""},
		"fragments alone": {change(`["containers", "fragments"]`, `["fragments"]`) +
			"\ncontainers := [{\"id\": \"registry.example/app:2\", \"name\": \"app\"}]", "", ""},
	} {
		p, err := Parse([]byte("package policy\nfragments := " + c.imports))
		if err != nil || p.Unread != nil {
			t.Fatalf("%s: %v, %v", name, err, p)
		}
		found := p.Findings()
		if c.rule == "" {
			if len(found) > 0 {
				t.Errorf("%s: found %v", name, found)
			}
			continue
		}
		if len(found) != 1 || found[0].Rule != c.rule || !strings.Contains(found[0].Text, c.text) {
			t.Errorf("%s: found %v, want %s about %q", name, found, c.rule, c.text)
		}
	}
}

func TestImportString(t *testing.T) {
	const root = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s"
	for want, i := range map[string]Import{
		`admits any container and further fragments that a certificate with purpose 1.3.6.1.4.1.311.76.59.1.3 signs for feed ` +
			`mcr.microsoft.com/aci/aci-cc-infra-fragment with svn ≥ 4`: {
			root + "::eku:1.3.6.1.4.1.311.76.59.1.3", "mcr.microsoft.com/aci/aci-cc-infra-fragment", "4", []string{"containers", "fragments"}},
		`admits any container that "Contoso, Ltd." signs for feed f/a with any svn`: {root + "::subject:CN:Contoso%2C%20Ltd.", "f/a", "", []string{"containers"}},
		`admits nothing that "somebody" signs for feed f/a with svn ≥ 1`:            {"somebody", "f/a", "1", nil},
		`admits "x?y" that "somebody" signs for feed f/?a with svn ≥ 1`:             {"somebody", "f/\na", "1", []string{"x\ny"}},
	} {
		if got := i.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
