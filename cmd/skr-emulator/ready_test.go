package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestEnvFile: the file appears when the cloud is ready, and healthcheck succeeds from then on. The
// output has no secret. The file goes with the emulator.
func TestEnvFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env.sh")
	if err := os.WriteFile(file, []byte("export SKR_IMDS_URL='http://127.0.0.1:1'\n"), 0o600); err != nil {
		t.Fatal(err) // as an emulator leaves it that was killed
	}
	if err := healthcheck(t.Context(), file); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("with a stale file: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"serve", "--env-file", file, "--key", "demo/payroll", "--pod", "other"}, writer, io.Discard)
		_ = writer.CloseWithError(err) // the reader gets the error
		ended <- err
	}()
	out := make([]byte, 1024)
	n, err := reader.Read(out)
	if err != nil || string(out[:n]) != "the emulated cloud is ready; its environment is in "+file+"\n" {
		t.Errorf("%v, output %q", err, out[:n])
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"export AKV_ENDPOINT='demo.vault.localhost:", "#identity export AZURE_CLIENT_SECRET=.", "# ready\n$",
		"#other export SKR_REPORT_SOURCE='unix:/.*/other/report.sock'\n#other export UVM_SECURITY_CONTEXT_DIR='/.*/other/security-context'\n#",
	} {
		if !regexp.MustCompile(want).Match(text) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with a client secret: %v, %v", info, err)
	}
	if err := run(t.Context(), []string{"healthcheck", file}, io.Discard, io.Discard); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := healthcheck(t.Context(), file); err == nil || !strings.Contains(err.Error(), "not ready") {
		t.Errorf("after the end: %v", err)
	}
}
