package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oras.land/oras-go/v2/content/oci"

	"skr/test/ocitest"
	"skr/test/program"
	"skr/test/swtpm"
)

func TestMain(m *testing.M) { program.Main(m, "skr", "skr-emulator") }

func TestDemo(t *testing.T) {
	sidecar := program.Path("skr")
	for platform, wants := range map[string][]string{
		"aci":            {"\n6. ", "azure-compliant-uvm", "HOST_DATA"},
		"aks-kata":       {"\n6. ", "azure-signed-katacc-uvm", "HOST_DATA"},
		"cvm":            {"\n6. ", "azure-compliant-cvm", "secureboot   false"},
		"cvm-tdx":        {"\n6. ", "tdxvm", "secureboot   false"},
		"trusted-launch": {"\n7. ", "/attest/maa", "x-ms-azurevm-vmid", "UNCONFIRMED"},
	} {
		t.Run(platform, func(t *testing.T) {
			if isVM(platform) {
				swtpm.Need(t)
			}
			var out bytes.Buffer
			if err := run(t.Context(), []string{"demo", "--platform", platform, "--skr", sidecar}, &out, &out); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			for _, want := range append(wants, "\n1. ", "200  a private JWK", `plain        "`+demoSecret+`"`, `200  plain "`+demoSecret+`"`, "403  for /key/release",
				"403  release_rejected", "to no other") {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing in\n%s", want, &out)
				}
			}
		})
	}
}

// TestServe checks the printed environment for a sidecar and the key that the machine may
// get.
func TestServe(t *testing.T) {
	for platform, wants := range map[string][]string{
		"aci":            {"SKR_REPORT_SOURCE='unix:", "UVM_SECURITY_CONTEXT_DIR='"},
		"cvm":            {"SKR_REPORT_SOURCE='vtpm'", "SKR_TPM='unix:/", "SKR_EVENT_LOG='/", "SKR_AK_ROOTS='/", "SKR_AMD_ROOTS='/"},
		"cvm-tdx":        {"SKR_REPORT_SOURCE='vtpm'", "SKR_TPM='unix:/", "SKR_INTEL_ROOTS='/", "SKR_PCCS_URL='https://", "SKR_PCS_URL='https://"},
		"trusted-launch": {"SKR_REPORT_SOURCE='vtpm'", "SKR_TPM='unix:/", "SKR_EVENT_LOG='/", "SKR_AK_ROOTS='/"},
	} {
		t.Run(platform, func(t *testing.T) {
			if isVM(platform) {
				swtpm.Need(t)
			}
			text := serveUntilReady(t, "--platform", platform, "--key", "demo/payroll")
			for _, want := range append(wants, "AKV_ENDPOINT='demo.vault.localhost:", "MAA_ENDPOINT='") {
				if !strings.Contains(text, "export "+want) {
					t.Errorf("%q is missing in\n%s", want, text)
				}
			}
			if isVM(platform) && strings.Contains(text, "UVM_") {
				t.Errorf("a virtual machine has a security context:\n%s", text)
			}
		})
	}
}

// TestServeImage: a container runs only if the policy admits it.
func TestServeImage(t *testing.T) {
	dir := t.TempDir()
	store, err := oci.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := ocitest.Push(t.Context(), store, "1", "program"); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(t.TempDir(), "policy.rego")
	for text, want := range map[string]string{
		"package policy\ncreate_container := {\"allowed\": true}\n":             "",
		"package policy\ncreate_container := data.framework.create_container\n": "refusing container \"oci:" + dir + ":1\"",
	} {
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"--image", "oci:" + dir + ":1", "--env", "MODE=test", "--cce-policy", policy}
		if want == "" {
			serveUntilReady(t, args...)
			continue
		}
		if err := run(t.Context(), append([]string{"serve"}, args...), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func isVM(platform string) bool {
	return strings.HasPrefix(platform, "cvm") || platform == "trusted-launch"
}

func serveUntilReady(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"serve"}, args...), writer, io.Discard)
		_ = writer.CloseWithError(err) // the reader gets the error
		ended <- err
	}()
	var text strings.Builder
	lines := bufio.NewScanner(reader)
	for lines.Scan() && lines.Text() != "# ready" {
		text.WriteString(lines.Text() + "\n")
	}
	cancel()
	if err := <-ended; err != nil || lines.Err() != nil {
		t.Fatal(err, lines.Err(), text.String())
	}
	return text.String()
}

func TestBadFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sreve"}, "unknown command"},
		{[]string{"demo", "now"}, "unknown argument"},
		{[]string{"serve", "--listen", "0.0.0.0:0"}, "loopback"},
		{[]string{"serve", "--key", "payroll"}, "use VAULT/NAME"},
		{[]string{"serve", "--pod", "Other"}, `the name "Other" must consist of`},
		{[]string{"serve", "--env-file", "/nonexistent/env.sh"}, "--env-file"},
		{[]string{"serve", "--internal-network", "--listen", "emulator:443"}, "must be an IP address"},
		{[]string{"healthcheck", "main.go"}, "was not written by skr-emulator serve --env-file"},
		{[]string{"serve", "--fault", "nothing=1"}, "--fault"},
		{[]string{"serve", "--cce-policy", "/nonexistent"}, "no such file"},
		{[]string{"serve", "--env", "A=1"}, "--image"},
		{[]string{"serve", "--image", "oci:/nonexistent:1"}, "--image: host: pulling"},
		{[]string{"demo", "--skr", "/nonexistent"}, "starting the sidecar"},
		{[]string{"demo", "--platform", "azure"}, "unknown platform"},
		{[]string{"serve", "--platform", "azure"}, "unknown platform"},
		{[]string{"serve", "--quote-version", "3"}, "use 4 or 5"},
		{[]string{"serve", "--tcb-status", "Revoked"}, "use UpToDate or OutOfDate"},
		{[]string{"serve", "--platform", "cvm", "--cce-policy", "main.go"}, "has no execution policy"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), c.args, &out, &out); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.args, err, c.want)
		}
	}
}
