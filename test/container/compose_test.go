package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"skr/test/tool"
)

const composeDir = root + "/examples/compose/"

// The Compose file starts the emulator, the sidecar and an application, which gets its key. The
// application of a pod with another execution policy gets a refusal with its reason. No log has a
// secret, and nothing is left afterwards.
func TestCompose(t *testing.T) {
	tool.Need(t, "podman-compose", "podman-compose")
	p := &project{engine: newEngine(t, "skr-emulator", "skr-example"), name: "skr-compose-test"}
	t.Cleanup(func() { p.down(t) })
	p.compose(t, "up", "--detach", "--no-build", "demo.vault.azure.net")
	emulator := p.container(t, "demo.vault.azure.net")
	await(t, "the emulator", func() bool {
		return p.engine.command("exec", emulator, "/bin/skr-emulator", "healthcheck", "/run/emulator/env.sh").Run() == nil
	})
	p.compose(t, "up", "--detach", "--no-build")
	for service, want := range map[string]struct{ status, log string }{
		"application":       {"0", `^has the key payroll: RSA, 3072 bits\n$`},
		"other-application": {"1", `^refused: skr: release rejected: .* not met is: x-ms-sevsnpvm-hostdata equals "[0-9a-f]{64}", and it is .*\(release_rejected, `},
	} {
		name := p.container(t, service)
		status := p.engine.podman(t, "wait", name)
		if log := p.engine.logs(name); status != want.status || !regexp.MustCompile(want.log).MatchString(log) {
			t.Errorf("%s ends with %s, want %s:\n%s\n%s", service, status, want.status, log, p.log(t))
		}
	}
	sidecar := p.container(t, "sidecar")
	for _, name := range []string{emulator, sidecar} {
		p.engine.confined(t, name)
	}
	p.engine.podman(t, "exec", sidecar, "/bin/skr", "healthcheck")
	for line := range strings.Lines(p.engine.logs(sidecar)) {
		// The name server of podman 4.3 loses queries for half a minute, so that requests may fail.
		if regexp.MustCompile(`"level":"(WARN|ERROR)"`).MatchString(line) && !strings.Contains(line, `"msg":"request"`) {
			t.Errorf("the sidecar warns, for example of a setting that it does not know:\n%s", line)
		}
	}
	p.searchSecrets(t)
	p.engine.leadsOut(t)
}

// leadsOut: in a network with a way out, the emulator refuses to serve other machines.
func (e *engine) leadsOut(t *testing.T) {
	t.Helper()
	out, err := e.command("run", "--rm", "--timeout", "60", "--tmpfs", "/tmp:mode=1777", "skr-emulator:v1.2.3",
		"serve", "--internal-network", "--listen", "0.0.0.0:8443").CombinedOutput()
	if err == nil || !regexp.MustCompile(`the network is not internal: interface \S+ has a route to other networks; use .*internal: true`).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
}

// project is the containers of the Compose files.
type project struct {
	engine *engine
	name   string
}

// compose runs podman-compose, which starts podman with the arguments of the engine.
func (p *project) compose(t *testing.T, args ...string) {
	t.Helper()
	podman := filepath.Join(t.TempDir(), "podman")
	script := "#!/bin/sh\nexec podman '" + strings.Join(p.engine.args, "' '") + "' \"$@\"\n"
	if err := os.WriteFile(podman, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	all := []string{"--podman-path", podman, "--project-name", p.name, "--file", composeDir + "compose.yaml", "--file", composeDir + "other.yaml"}
	run := exec.Command("podman-compose", append(all, args...)...)
	run.Env = append(p.engine.env[:len(p.engine.env):len(p.engine.env)],
		"SKR_IMAGE=localhost/skr:v1.2.3", "SKR_EMULATOR_IMAGE=localhost/skr-emulator:v1.2.3", "SKR_EXAMPLE_IMAGE=localhost/skr-example:v1.2.3")
	run.WaitDelay = time.Minute // containers inherit the output
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("podman-compose %s: %v\n%s", args[0], err, out)
	}
}

// container returns the name of a service's container.
func (p *project) container(t *testing.T, service string) string {
	t.Helper()
	name := p.engine.podman(t, "ps", "--all", "--filter", "label=com.docker.compose.service="+service, "--format", "{{.Names}}")
	if name == "" || strings.ContainsAny(name, " \n") {
		t.Fatalf("the containers of %s are %q", service, name)
	}
	return name
}

// log returns the logs of all containers.
func (p *project) log(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, name := range strings.Fields(p.engine.podman(t, "ps", "--all", "--format", "{{.Names}}")) {
		all.WriteString("== " + name + "\n" + p.engine.logs(name))
	}
	return all.String()
}

// searchSecrets searches the logs for the secrets of the emulated tenant and for parts of private
// keys, and the emulator's volume for private keys.
func (p *project) searchSecrets(t *testing.T) {
	t.Helper()
	dir := p.engine.podman(t, "volume", "inspect", "--format", "{{.Mountpoint}}", p.name+"_emulator")
	environment, token := text(t, filepath.Join(dir, "env.sh")), text(t, filepath.Join(dir, "federated-token"))
	secret := regexp.MustCompile(`AZURE_CLIENT_SECRET=(\S+)`).FindStringSubmatch(environment)
	if secret == nil || len(token) < 100 {
		t.Fatalf("%s has no secrets to search for:\n%s", dir, environment)
	}
	log := p.log(t)
	for _, part := range []string{secret[1], strings.TrimSpace(token), "PRIVATE KEY", `"d":`, `\"d\":`} {
		if strings.Contains(log, part) {
			t.Errorf("the log contains %.20q:\n%s", part, log)
		}
	}
	for _, name := range []string{"ca.pem", "amd-roots.pem", "env.sh"} {
		if strings.Contains(text(t, filepath.Join(dir, name)), "PRIVATE KEY") {
			t.Errorf("%s contains a private key", name)
		}
	}
}

// text returns the text of a file.
func text(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// down removes everything. podman-compose 1.0.3 leaves the networks.
func (p *project) down(t *testing.T) {
	t.Helper()
	p.compose(t, "down", "--volumes")
	for _, network := range p.networks(t) {
		p.engine.podman(t, "network", "rm", network)
	}
	for what, list := range map[string][]string{
		"containers": strings.Fields(p.engine.podman(t, "ps", "--all", "--quiet")),
		"volumes":    strings.Fields(p.engine.podman(t, "volume", "ls", "--quiet")),
		"networks":   p.networks(t),
	} {
		if len(list) > 0 {
			t.Errorf("%s are left: %q", what, list)
		}
	}
}

func (p *project) networks(t *testing.T) []string {
	t.Helper()
	return strings.Fields(p.engine.podman(t, "network", "ls", "--quiet", "--filter", "name="+p.name))
}
