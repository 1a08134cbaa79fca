package utilityvm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"skr/internal/operator/execpolicy"
	"skr/test/uvmtest"
)

const feed = "registry.example/orders"

// listed is a container as policies have it.
const listed = `{"name": "orders", "command": ["/app", "serve"], "layers": ["aa", "bb"], "working_dir": "/srv", "env_rules": [
	{"pattern": "MODE=production", "required": true, "strategy": "string"}, {"pattern": "LEVEL=[a-z]+", "required": false, "strategy": "re2"}]}`

func container() Container {
	return Container{
		Name: "orders:1", Layers: []string{"aa", "bb"}, Command: []string{"/app", "serve"}, WorkingDir: "/srv",
		Env: []string{"MODE=production", "LEVEL=info", "OTHER=x"},
	}
}

// policy imports fragments, which are rules in JSON, and lists containers.
func policy(fragments, containers string) []byte {
	return fmt.Appendf(nil, "package policy\n\nfragments := %s\ncontainers := %s\ncreate_container := data.framework.create_container\n", fragments, containers)
}

func rule(t *testing.T, issuer, feed, svn string, includes ...string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"issuer": issuer, "feed": feed, "minimum_svn": svn, "includes": includes})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func newEndorser(t *testing.T) *uvmtest.Endorser {
	t.Helper()
	e, err := uvmtest.NewEndorser()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func sign(t *testing.T, by *uvmtest.Endorser, feed, rego string) []byte {
	t.Helper()
	envelope, err := by.Envelope([48]byte{}, 1, feed)
	if err != nil {
		t.Fatal(err)
	}
	envelope.Payload, envelope.Protected[int64(3)] = []byte(rego), "application/unknown+rego"
	signed, err := envelope.Sign()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func fragment(svn, fragments, containers string) string {
	return fmt.Sprintf("package orders\n\nsvn := %q\nfragments := %s\ncontainers := %s\n", svn, fragments, containers)
}

func newVM(t *testing.T, text []byte) *VM {
	t.Helper()
	vm, err := New(text)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// TestLoadFragment: the container runs only with a fragment of the issuer, for the feed and
// with the svn of an import.
func TestLoadFragment(t *testing.T) {
	signer, stranger := newEndorser(t), newEndorser(t)
	good := fragment("3", "[]", "["+listed+"]")
	altered := sign(t, signer, feed, good)
	altered[slices.Index(altered, 'o')+len("package o")]++
	for name, c := range map[string]struct {
		rule, want string
		signed     []byte
	}{
		"imported":       {rule(t, signer.Issuer(), feed, "3", "containers"), "", sign(t, signer, feed, good)},
		"newer":          {rule(t, signer.Issuer(), feed, "2", "containers"), "", sign(t, signer, feed, good)},
		"wrong issuer":   {rule(t, signer.Issuer(), feed, "3", "containers"), "issuer is ", sign(t, stranger, feed, good)},
		"low svn":        {rule(t, signer.Issuer(), feed, "10", "containers"), "svn is 3, and the import wants 10", sign(t, signer, feed, good)},
		"wrong feed":     {rule(t, signer.Issuer(), feed, "3", "containers"), "feed is registry.example/other", sign(t, signer, "registry.example/other", good)},
		"altered":        {rule(t, signer.Issuer(), feed, "3", "containers"), "verifying the fragment", altered},
		"no svn":         {rule(t, signer.Issuer(), feed, "3", "containers"), "no svn", sign(t, signer, feed, "package orders\ncontainers := []\n")},
		"another policy": {rule(t, signer.Issuer(), feed, "3", "containers"), "top-level policy", sign(t, signer, feed, "package policy\nsvn := \"3\"\n")},
		"computed": {rule(t, signer.Issuer(), feed, "3", "containers"), "constants",
			sign(t, signer, feed, "package a\nsvn := \"3\"\ncontainers := input.x\n")},
		"only its imports": {rule(t, signer.Issuer(), feed, "3", "fragments"), "", sign(t, signer, feed, good)},
	} {
		t.Run(name, func(t *testing.T) {
			vm := newVM(t, policy("["+c.rule+"]", "[]"))
			err := vm.LoadFragment(c.signed)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			_, err = vm.CreateContainer(container())
			if runs := c.want == "" && name != "only its imports"; (err == nil) != runs {
				t.Errorf("the container runs: %v, want %v; %v", err == nil, runs, err)
			}
		})
	}
	if err := newVM(t, policy("[]", "[]")).LoadFragment(sign(t, signer, feed, good)); err == nil || !strings.Contains(err.Error(), "imports no fragments") {
		t.Errorf("a policy without imports: %v", err)
	}
}

// TestNested: a fragment's imports count only if the import of the fragment includes them.
func TestNested(t *testing.T) {
	outer, inner := newEndorser(t), newEndorser(t)
	importer := sign(t, outer, feed, fragment("1", "["+rule(t, inner.Issuer(), "nested/feed", "1", "containers")+"]", "[]"))
	nested := sign(t, inner, "nested/feed", fragment("1", "[]", "["+listed+"]"))
	for includes, admitted := range map[string]bool{"fragments": true, "containers": false} {
		vm := newVM(t, policy("["+rule(t, outer.Issuer(), feed, "1", includes)+"]", "[]"))
		if err := vm.LoadFragment(nested); err == nil {
			t.Errorf("%s: the nested fragment is loaded before its importer", includes)
		}
		if err := vm.LoadFragment(importer); err != nil {
			t.Fatal(err)
		}
		if err := vm.LoadFragment(nested); (err == nil) != admitted {
			t.Errorf("%s: %v", includes, err)
		}
	}
}

func TestCreateContainer(t *testing.T) {
	vm := newVM(t, policy("[]", "["+listed+"]"))
	kept, err := vm.CreateContainer(container())
	if err != nil || !slices.Equal(kept, []string{"MODE=production", "LEVEL=info"}) {
		t.Errorf("kept %q, %v", kept, err)
	}
	for want, change := range map[string]func(*Container){
		"other layers":                 func(c *Container) { c.Layers = c.Layers[:1] },
		"its command is":               func(c *Container) { c.Command = []string{"/bin/sh"} },
		"its working directory is":     func(c *Container) { c.WorkingDir = "/" },
		"required variable is missing": func(c *Container) { c.Env = []string{"XMODE=production"} },
	} {
		c := container()
		change(&c)
		if _, err := vm.CreateContainer(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	c := container()
	c.Env = append(c.Env, "XLEVEL=info", "LEVEL=INFO", "LEVEL=info2")
	if kept, err := vm.CreateContainer(c); err != nil || len(kept) != 2 {
		t.Errorf("patterns match a part: %q, %v", kept, err)
	}
}

func TestNew(t *testing.T) {
	for text, want := range map[string]string{
		"no rego":          "reading the execution policy",
		"package orders\n": `its package is "orders"`,
		"package policy\ncontainers := input.x\n":                             "constants",
		"package policy\ncreate_container := {\"allowed\": input.x}\n":        "rules of its own",
		"package policy\ncreate_container := {\"allowed\": true}\n":           "",
		"package policy\ncreate_container := data.framework.create_container": "",
	} {
		if _, err := New([]byte(text)); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	vm := newVM(t, []byte("package policy\ncreate_container := {\"allowed\": true}\n"))
	if kept, err := vm.CreateContainer(container()); err != nil || len(kept) != 3 {
		t.Errorf("the policy that allows everything: %q, %v", kept, err)
	}
}

// TestPatterns: ^ and $ are added as text, so that alternatives without a group admit more than they seem to.
func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, variable string
		want              bool
	}{
		{"LEVEL=[a-z]+", "LEVEL=info", true},
		{"LEVEL=[a-z]+", "OTHER=LEVEL=info", false},
		{"LEVEL=[a-z]+", "LEVEL=info 1", false},
		{"^LEVEL=info$", "LEVEL=info", true},
		{"LEVEL=info|warn", "OTHER=warn", true},
		{"LEVEL=(?:info|warn)", "OTHER=warn", false},
		{"LEVEL=(?:info|warn)", "LEVEL=warn", true},
	} {
		rule := execpolicy.EnvRule{Pattern: c.pattern, Strategy: "re2"}
		if got := admits(rule, c.variable); got != c.want {
			t.Errorf("%s admits %s: %t, want %t", c.pattern, c.variable, got, c.want)
		}
	}
}
