package measure

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
		group0 + "create_container := all\nall := {\"allowed\": yes}; yes := true":                                       true,
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
		t.Error("a published policy that allows everything is not detected")
	}
	for _, file := range []string{"aci-security-context/security-policy-base64", "aci-milan/uvm_security_policy.base64"} {
		text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(samples.Read(t, file))))
		if err != nil {
			t.Fatal(err)
		}
		if !allowsEverything(text) {
			t.Errorf("%s is not detected as a policy that allows everything", file)
		}
	}
}

func FuzzAllowsEverything(f *testing.F) {
	for _, seed := range []string{group0, "package policy\nx := {", "`", `"\`, "default", "package agent_policy;A if", "create_container := {\"allowed\":"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, text []byte) { allowsEverything(text) })
}
