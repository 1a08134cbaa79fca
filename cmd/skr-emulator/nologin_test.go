package main

import (
	"io"
	"strings"
	"testing"
)

// TestConformanceNoLogin: the advice names a flag that this command has.
func TestConformanceNoLogin(t *testing.T) {
	j := newJudged(t)
	cmd := j.command(t, "--maa", j.cloud.AttestationHost(), "--vault", j.cloud.Host("demo", "vault"))
	cmd.Env = append([]string{"PATH=" + t.TempDir(), "HOME=" + t.TempDir(), "AZURE_TOKEN_CREDENTIALS=AzureCLICredential"}, j.cloud.Environment(j.cloud.Machine())...)
	status, out := code(t, cmd)
	const flag = "access-token-file"
	if status != 0 || !strings.Contains(out, "or pass --"+flag) {
		t.Errorf("exit code %d\n%s", status, out)
	}
	if conformanceCommand(io.Discard, io.Discard).Flags().Lookup(flag) == nil {
		t.Errorf("there is no flag --%s", flag)
	}
}
