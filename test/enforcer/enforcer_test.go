//go:build rego

package enforcer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/Microsoft/hcsshim/pkg/securitypolicy"
	oci "github.com/opencontainers/runtime-spec/specs-go"
	layout "oras.land/oras-go/v2/content/oci"

	"skr/internal/operator/execpolicy"
	"skr/internal/operator/fragment"
	"skr/test/emulator/utilityvm"
	"skr/test/ocitest"
	"skr/test/uvmtest"
)

const (
	issuer = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::subject:CN:Contoso"
	other  = "did:x509:0:sha256:8OhuTqQPbrbDMXV9QentXIIRWqcmU_B88n8jPr1WsBc::subject:CN:Contoso"
	feed   = "registry.example/orders"
)

var layer = strings.Repeat("ab", 32)

// policy is a top-level policy with imports, in the form of confcom.
func policy(imports string) string {
	return `package policy

api_version := "0.10.0"
framework_version := "0.2.3"

fragments := ` + imports + `

containers := []

allow_properties_access := true
allow_dump_stacks := false
allow_runtime_logging := false
allow_environment_variable_dropping := true
allow_unencrypted_scratch := false
allow_capability_dropping := true

mount_device := data.framework.mount_device
unmount_device := data.framework.unmount_device
mount_overlay := data.framework.mount_overlay
create_container := data.framework.create_container
load_fragment := data.framework.load_fragment

reason := {"errors": data.framework.errors}
`
}

func enforcer(t *testing.T, text string) securitypolicy.SecurityPolicyEnforcer {
	t.Helper()
	e, err := securitypolicy.CreateSecurityPolicyEnforcer("rego", base64.StdEncoding.EncodeToString([]byte(text)), nil, nil, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func parse(t *testing.T, text string) *execpolicy.Policy {
	t.Helper()
	p, err := execpolicy.Parse([]byte(text))
	if err != nil || p.Unread != nil {
		t.Fatalf("%v, %v", err, p)
	}
	return p
}

// container is made from an image in a directory, with one layer of a known hash.
func container(t *testing.T) execpolicy.Container {
	t.Helper()
	directory := t.TempDir()
	store, err := layout.New(directory)
	if err != nil {
		t.Fatal(err)
	}
	if err := ocitest.Push(t.Context(), store, "1", "program"); err != nil {
		t.Fatal(err)
	}
	platform, err := fragment.ParsePlatform("aci")
	if err != nil {
		t.Fatal(err)
	}
	image, err := fragment.Open(t.Context(), "oci:"+directory+":1")
	if err != nil {
		t.Fatal(err)
	}
	c, err := fragment.FromImage(t.Context(), image, platform)
	if err != nil {
		t.Fatal(err)
	}
	c.Layers = []string{layer}
	return c
}

func compose(t *testing.T, svn uint64) string {
	t.Helper()
	text, err := fragment.Compose(fragment.Spec{Namespace: "orders", SVN: svn, Containers: []execpolicy.Container{container(t)}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func rule(t *testing.T, change func(map[string]any)) string {
	t.Helper()
	r := map[string]any{"issuer": issuer, "feed": feed, "minimum_svn": "3", "includes": []string{"containers"}}
	change(r)
	text, err := json.Marshal([]any{r})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAdmitted compares which fragments an import admits.
func TestAdmitted(t *testing.T) {
	set := func(name string, value any) func(map[string]any) { return func(r map[string]any) { r[name] = value } }
	for name, c := range map[string]struct {
		change       func(map[string]any)
		issuer, feed string
		svn          uint64
	}{
		"equal":              {set("minimum_svn", "3"), issuer, feed, 3},
		"newer":              {set("minimum_svn", "3"), issuer, feed, 10},
		"older":              {set("minimum_svn", "3"), issuer, feed, 2},
		"longer number":      {set("minimum_svn", "10"), issuer, feed, 9},
		"svn 0":              {set("minimum_svn", "0"), issuer, feed, 1},
		"number":             {set("minimum_svn", 3), issuer, feed, 3},
		"number too low":     {set("minimum_svn", 4), issuer, feed, 3},
		"no svn":             {func(r map[string]any) { delete(r, "minimum_svn") }, issuer, feed, 3},
		"another issuer":     {set("issuer", other), issuer, feed, 3},
		"feed with a tag":    {set("feed", feed+":1"), issuer, feed, 3},
		"another feed":       {set("feed", "registry.example/other"), issuer, feed, 3},
		"fragment's own tag": {set("feed", feed), issuer, feed + ":1", 3},
	} {
		t.Run(name, func(t *testing.T) {
			text := policy(rule(t, c.change))
			theirs := enforcer(t, text).LoadFragment(t.Context(), c.issuer, c.feed, compose(t, c.svn))
			p := parse(t, text)
			ours := p.Imports[0].Admits(c.issuer, c.feed, execpolicy.Number(fmt.Sprint(c.svn)))
			if (ours == nil) != (theirs == nil) {
				t.Errorf("skrctl: %v\nenforcer: %v", ours, theirs)
			}
		})
	}
}

// TestContainers mounts a layer that only a fragment has, and starts its container.
func TestContainers(t *testing.T) {
	e := enforcer(t, policy(rule(t, func(map[string]any) {})))
	if err := e.EnforceDeviceMountPolicy(t.Context(), "/run/mounts/scsi/m0", layer); err == nil {
		t.Fatal("the layer is mounted without the fragment")
	}
	if err := e.LoadFragment(t.Context(), issuer, feed, compose(t, 3)); err != nil {
		t.Fatal(err)
	}
	if err := e.EnforceDeviceMountPolicy(t.Context(), "/run/mounts/scsi/m0", strings.Repeat("cd", 32)); err == nil {
		t.Error("another layer is mounted")
	}
	if err := e.EnforceDeviceMountPolicy(t.Context(), "/run/mounts/scsi/m0", layer); err != nil {
		t.Error(err)
	}
	if err := e.EnforceOverlayMountPolicy(t.Context(), "c0", []string{"/run/mounts/scsi/m0"}, "/run/gcs/c/c0/rootfs"); err != nil {
		t.Error(err)
	}
	if err := start(t, e, "/app", "other"); err == nil {
		t.Error("another command is started")
	}
	if err := start(t, e, "/app", "serve"); err != nil {
		t.Error(err)
	}
}

// startEnv are variables of which no rule admits the last.
var startEnv = []string{"PATH=/bin", "TERM=xterm", "HOSTNAME=a", "Fabric_NodeIPOrFQDN=10.0.0.1", "UNKNOWN=dropped"}

// start asks to start a container as Confidential ACI starts it: with the variables that the
// platform adds, and the capabilities of a container that is not privileged.
func start(t *testing.T, e securitypolicy.SecurityPolicyEnforcer, command ...string) error {
	t.Helper()
	c := container(t)
	caps := &oci.LinuxCapabilities{
		Bounding: c.Capabilities.Bounding, Effective: c.Capabilities.Effective, Permitted: c.Capabilities.Permitted,
		Inheritable: []string{}, Ambient: []string{},
	}
	mounts := []oci.Mount{{
		Destination: "/etc/resolv.conf", Type: "bind", Options: []string{"rbind", "rshared", "rw"},
		Source: "/run/gcs/c/sandbox/sandboxMounts/tmp/atlas/resolvconf/abc",
	}}
	kept, _, _, err := e.EnforceCreateContainerPolicy(t.Context(), "sandbox", "c0", command, startEnv, "/srv", mounts, false, false,
		securitypolicy.IDName{ID: "0", Name: "root"}, []securitypolicy.IDName{{ID: "0", Name: "root"}}, "0022", caps, "")
	if err == nil && len(kept) != len(startEnv)-1 {
		t.Errorf("variables kept: %q", kept)
	}
	return err
}

// TestNamespaces: what skrctl refuses as a fragment, the enforcer refuses too, and the reverse.
func TestNamespaces(t *testing.T) {
	good := compose(t, 3)
	for _, first := range []string{"package orders", "package ORDERS_2", "package policy", "package framework", "package api", "package a.b", "# text\npackage orders"} {
		text := strings.Replace(good, "package orders", first, 1)
		theirs := enforcer(t, policy(rule(t, func(map[string]any) {}))).LoadFragment(t.Context(), issuer, feed, text)
		ours := fragment.Check([]byte(text))
		if (ours == nil) != (theirs == nil) {
			t.Errorf("%s: skrctl: %v, enforcer: %v", first, ours, theirs)
		}
	}
}

// TestIncludes: an import without containers admits none.
func TestIncludes(t *testing.T) {
	for _, part := range []string{"containers", "fragments"} {
		text := policy(rule(t, func(r map[string]any) { r["includes"] = []string{part} }))
		e := enforcer(t, text)
		if err := e.LoadFragment(t.Context(), issuer, feed, compose(t, 3)); err != nil {
			t.Fatal(err)
		}
		mounted := e.EnforceDeviceMountPolicy(t.Context(), "/run/mounts/scsi/m0", layer) == nil
		says := strings.Contains(parse(t, text).Imports[0].String(), "any container")
		if mounted != says {
			t.Errorf("%s: mounted %t, skrctl says any container: %t", part, mounted, says)
		}
	}
}

// TestEmulator compares the emulated utility VM: both load the same fragments, start the same
// containers and drop the same variables.
func TestEmulator(t *testing.T) {
	signer, err := uvmtest.NewEndorser()
	if err != nil {
		t.Fatal(err)
	}
	set := func(name string, value any) func(map[string]any) { return func(r map[string]any) { r[name] = value } }
	for name, c := range map[string]struct {
		change  func(map[string]any)
		feed    string
		command []string
	}{
		"admitted":        {set("minimum_svn", "3"), feed, []string{"/app", "serve"}},
		"low svn":         {set("minimum_svn", "4"), feed, []string{"/app", "serve"}},
		"another issuer":  {set("issuer", other), feed, []string{"/app", "serve"}},
		"another feed":    {set("minimum_svn", "3"), feed + "/x", []string{"/app", "serve"}},
		"no containers":   {set("includes", []string{"fragments"}), feed, []string{"/app", "serve"}},
		"another command": {set("minimum_svn", "3"), feed, []string{"/app"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := policy(rule(t, func(r map[string]any) { r["issuer"] = signer.Issuer(); c.change(r) }))
			theirs, rego := enforcer(t, text), compose(t, 3)
			theirLoad := theirs.LoadFragment(t.Context(), signer.Issuer(), c.feed, rego)
			ours, err := utilityvm.New([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			ourLoad := ours.LoadFragment(signed(t, signer, c.feed, rego))
			if (theirLoad == nil) != (ourLoad == nil) {
				t.Errorf("loading: the enforcer says %v, the emulator %v", theirLoad, ourLoad)
			}
			theirStart := mount(t, theirs)
			if theirStart == nil {
				theirStart = start(t, theirs, c.command...)
			}
			kept, ourStart := ours.CreateContainer(utilityvm.Container{Layers: []string{layer}, Command: c.command, Env: startEnv, WorkingDir: "/srv"})
			if (theirStart == nil) != (ourStart == nil) || ourStart == nil && len(kept) != len(startEnv)-1 {
				t.Errorf("starting: the enforcer says %v, the emulator %v with %q", theirStart, ourStart, kept)
			}
		})
	}
}

func mount(t *testing.T, e securitypolicy.SecurityPolicyEnforcer) error {
	t.Helper()
	if err := e.EnforceDeviceMountPolicy(t.Context(), "/run/mounts/scsi/m0", layer); err != nil {
		return err
	}
	return e.EnforceOverlayMountPolicy(t.Context(), "c0", []string{"/run/mounts/scsi/m0"}, "/run/gcs/c/c0/rootfs")
}

func signed(t *testing.T, by *uvmtest.Endorser, feed, rego string) []byte {
	t.Helper()
	envelope, err := by.Envelope([48]byte{}, 1, feed)
	if err != nil {
		t.Fatal(err)
	}
	envelope.Payload, envelope.Protected[int64(3)] = []byte(rego), fragment.ContentType
	raw, err := envelope.Sign()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
