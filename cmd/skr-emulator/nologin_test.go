package main

import (
	"strings"
	"testing"
)

// TestConformanceNoLogin: the advice names a flag that this command has.
func TestConformanceNoLogin(t *testing.T) {
	j := newJudged(t)
	cmd := j.command(t, "--maa", j.cloud.AttestationHost(), "--vault", j.cloud.Host("demo", "vault"))
	cmd.Env = append([]string{"PATH=" + t.TempDir(), "HOME=" + t.TempDir(), "AZURE_TOKEN_CREDENTIALS=AzureCLICredential"}, j.cloud.Environment(j.cloud.Machine())...)
	status, out := code(t, cmd)
	if status != 0 || !strings.Contains(out, "or pass --token-file") || strings.Contains(out, "--access-token-file") {
		t.Errorf("exit code %d\n%s", status, out)
	}
}
