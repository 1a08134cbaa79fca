package docs

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"skr/test/emulator"
	"skr/test/emulator/host"
	"skr/test/emulator/utilityvm"
)

// serveGroups stands in for Azure Resource Manager: a POST with an image starts a container
// group with it, under the policy.rego of the directory. It answers the environment of skr in
// the group, or why the group does not start.
func serveGroups(t *testing.T, cloud *emulator.Cloud, dir string) (url string) {
	t.Helper()
	var number atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		image, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		machine, err := startGroup(r, cloud, fmt.Sprintf("group-%d", number.Add(1)), string(image), filepath.Join(dir, "policy.rego"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		_, _ = io.WriteString(w, exports(cloud.Environment(machine)))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func startGroup(r *http.Request, cloud *emulator.Cloud, name, image, policyFile string) (*emulator.Machine, error) {
	policy, err := os.ReadFile(policyFile)
	if err != nil {
		return nil, err
	}
	pulled, err := host.Pull(r.Context(), image, "LOG_LEVEL=info")
	if err != nil {
		return nil, err
	}
	return cloud.AddMachine(name, emulator.MachineConfig{
		Policy: string(policy), Containers: []utilityvm.Container{pulled.Container}, Fragments: pulled.Fragments,
	})
}

// exports writes an environment as lines for a shell.
func exports(environment []string) string {
	var text strings.Builder
	for _, entry := range environment {
		name, value, _ := strings.Cut(entry, "=")
		fmt.Fprintf(&text, "export %s='%s'\n", name, value)
	}
	return text.String()
}
