package e2e

import (
	"strings"
	"testing"

	"skr/test/emulator"
	"skr/test/program"
)

// No command starts with a variable that makes a library print what it sends.
func TestTalkativeEnvironment(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	vault := cloud.Host("demo", "vault")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "k", Size: 2048})
	env := cloud.Environment(cloud.Machine())
	names := []string{"--authority", cloud.AttestationHost(), "--vault", vault}
	for _, args := range [][]string{
		{"skr", "serve"}, {"skr", "agent", "--dir", t.TempDir()}, {"skr", "doctor"},
		append([]string{"skr", "release", "--key", "k"}, names...), append([]string{"skr", "attest", "maa"}, names[:2]...),
		append([]string{"skrctl", "key", "list"}, names[2:]...), {"skr", "unwrap"}, {"skrctl", "key", "create", "x"},
	} {
		for _, variable := range []string{
			"GODEBUG=http2debug=2", "GODEBUG=x509usepolicies=0", "GRPC_GO_LOG_SEVERITY_LEVEL=info", "GRPC_BINARY_LOG_FILTER=*", "AZURE_SDK_GO_LOGGING=all",
		} {
			name, _, _ := strings.Cut(variable, "=")
			stdout, stderr, code := runOnce(t, args[0], append(env, variable), "{}", args[1:]...)
			if code != 2 || stdout != "" || !strings.HasPrefix(stderr, args[0]+": configuration: "+name+": ") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s %v: exit %d\n%.500s%.500s", variable, args, code, stdout, stderr)
			}
		}
	}
	if asked := cloud.Faults().Requests(emulator.ServiceRelease); asked != 0 {
		t.Errorf("the vault got %d release requests", asked)
	}
}
