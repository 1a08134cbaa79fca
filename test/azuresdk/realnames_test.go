package azuresdk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"skr/hsm"
	"skr/test/emulator"
	"skr/test/program"
	"skr/test/tool"
)

// withRealNames runs a client where Azure's own names lead to skr-emulator, so that the client needs
// nothing but the emulator's CA. It returns what the client prints.
func withRealNames(t *testing.T, client []string, variables ...string) []byte {
	t.Helper()
	namespaces := []string{"unshare", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child"}
	if err := exec.CommandContext(t.Context(), namespaces[0], append(namespaces[1:], "ip", "link")...).Run(); err != nil {
		tool.Missing(t, "a network namespace or ip ("+err.Error()+")", "apt-get install util-linux iproute2")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	script, err := filepath.Abs("testdata/real-names.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	process := exec.CommandContext(ctx, namespaces[0], append(append(namespaces[1:], "sh", script, dir), client...)...)
	process.Dir, process.Env = dir, append(prepare(t, dir), variables...)
	var problems bytes.Buffer
	process.Stderr = &problems
	output, err := process.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%.4000s", client, err, problems.Bytes())
	}
	t.Logf("%.8000s", problems.Bytes())
	return output
}

// prepare writes what the clients read, and returns their environment.
func prepare(t *testing.T, dir string) []string {
	t.Helper()
	kek, err := hsm.NewKEK(2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	for name, text := range map[string][]byte{"runtime-data": kek.RuntimeData(), "private.pem": private} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := filepath.Join(dir, "emulator", "ca.pem")
	return []string{
		"PATH=" + program.Directory() + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "PYTHONDONTWRITEBYTECODE=1",
		"REQUESTS_CA_BUNDLE=" + ca, "SSL_CERT_FILE=" + ca, "RESOURCE_ID=" + emulator.WorkloadResource,
		"PRIVATE_KEY=" + filepath.Join(dir, "private.pem"),
	}
}
