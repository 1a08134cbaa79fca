package pod

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"skr/examples/kafka/environment"
)

func TestEnds(t *testing.T) {
	wrong := func(_ context.Context, v *environment.Variables, _ *slog.Logger) error {
		environment.Required(v, "TOPIC", "a topic", environment.Text)
		environment.Required(v, "MSG", "a message", environment.Text)
		return v.Err()
	}
	ends := func(err error) Program {
		return func(context.Context, *environment.Variables, *slog.Logger) error { return err }
	}
	for name, c := range map[string]struct {
		program Program
		code    int
		message string
	}{
		"wrong variables": {wrong, 2, "TOPIC: is not set; use a topic\nMSG: is not set; use a message"},
		"a failure":       {ends(errors.New("no port")), 1, "no port"},
		"SIGTERM":         {ends(context.Canceled), 0, "before"},
		"done":            {ends(nil), 0, "before"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "termination-log")
			if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if code := run(t.Context(), c.program, func(string) string { return "" }, &out, file); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			message, err := os.ReadFile(file)
			if err != nil || string(message) != c.message {
				t.Errorf("the termination message is %q, want %q", message, c.message)
			}
			if c.code != 0 && out.String() != c.message+"\n" {
				t.Errorf("standard error has %q", &out)
			}
		})
	}
}

// TestNoTerminationLog checks that no file is created outside a pod.
func TestNoTerminationLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none")
	leave(file, "text")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
