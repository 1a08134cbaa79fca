// Package emulated runs the emulated cloud and the real skr as processes on
// this machine, for the demonstration and the tests. No image contains it.
package emulated

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	stopGrace    = 5 * time.Second
	startTimeout = time.Minute
)

// Programs are the paths of the binaries that `make build` builds.
type Programs struct{ Skr, Skrctl, Emulator string }

// In returns the programs in a directory.
func In(dir string) Programs {
	return Programs{Skr: filepath.Join(dir, "skr"), Skrctl: filepath.Join(dir, "skrctl"), Emulator: filepath.Join(dir, "skr-emulator")}
}

// Build builds the programs into dir as they ship. root is the repository's
// root.
func Build(ctx context.Context, root, dir string) (Programs, error) {
	build := exec.CommandContext(ctx, "go", "build", "-tags", "grpcnotrace", "-trimpath", //nolint:gosec // the developer names the directories
		"-ldflags", "-s -w", "-o", dir+"/", "./cmd/skr", "./cmd/skrctl", "./cmd/skr-emulator")
	build.Dir = root
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return In(dir), nil
}

// Pod is the emulated confidential pod: its directory and its policy.
type Pod struct {
	// Dir is the directory for its socket and certificates. The path must be
	// short.
	Dir string
	// PolicyFile contains the pod's execution policy; "" means one that allows
	// everything.
	PolicyFile string
	// User is the user that runs the cloud and owns its files; nil means this
	// process's user.
	User *syscall.Credential
}

// Cloud is a running skr-emulator on AKS confidential containers.
type Cloud struct {
	// Environment is the environment of a sidecar in the pod, NAME=value.
	Environment []string

	programs Programs
	pod      Pod
	process  *exec.Cmd
}

// Start starts the cloud. It stops when ctx ends or Stop is called.
func (p Programs) Start(ctx context.Context, pod Pod) (*Cloud, error) {
	args := []string{"serve", "--dir", pod.Dir, "--platform", "aks-kata", "--key", "demo/another"} // with a key it prints AKV_ENDPOINT
	if pod.PolicyFile != "" {
		args = append(args, "--cce-policy", pod.PolicyFile)
	}
	c := &Cloud{programs: p, pod: pod, process: command(ctx, p.Emulator, args...)}
	if pod.User != nil {
		c.process.SysProcAttr.Credential = pod.User
	}
	failure := new(Output)
	c.process.Stderr = failure
	out, err := c.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.process.Start(); err != nil {
		return nil, fmt.Errorf("starting the emulator: %w", err)
	}
	late := time.AfterFunc(startTimeout, c.Stop)
	defer late.Stop()
	if err := c.readEnvironment(out); err != nil {
		c.Stop()
		return nil, fmt.Errorf("starting the emulator: %w: %s", err, failure)
	}
	return c, nil
}

// readEnvironment reads lines in shell syntax until the cloud is ready.
func (c *Cloud) readEnvironment(out io.Reader) error {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "# ready") {
			return nil
		}
		if assignment, found := strings.CutPrefix(lines.Text(), "export "); found {
			name, quoted, _ := strings.Cut(assignment, "=")
			c.Environment = append(c.Environment, name+"="+strings.Trim(quoted, "'"))
		}
	}
	return errors.New("it exited before it was ready")
}

// Value returns the value of a variable of the environment.
func (c *Cloud) Value(name string) string {
	for _, assignment := range c.Environment {
		if value, found := strings.CutPrefix(assignment, name+"="); found {
			return value
		}
	}
	return ""
}

// Authority returns the attestation provider's host.
func (c *Cloud) Authority() string { return c.Value("MAA_ENDPOINT") }

// Vault returns the key vault's host.
func (c *Cloud) Vault() string { return c.Value("AKV_ENDPOINT") }

// Measurement returns HOST_DATA of the pod in hexadecimal.
func (c *Cloud) Measurement(ctx context.Context) (string, error) {
	out, err := c.Run(ctx, "", c.programs.Skrctl, "measure", c.Value("UVM_SECURITY_CONTEXT_DIR")+"/security-policy-base64")
	measurement, _, _ := strings.Cut(out, " ")
	return measurement, err
}

// CreateKey creates a key that is released to pods with that measurement. It
// returns the public key as PEM.
func (c *Cloud) CreateKey(ctx context.Context, name, measurement string) (string, error) {
	_, err := c.Run(ctx, c.pod.Dir, c.programs.Skrctl, "key", "create", name, "--vault", c.Vault(),
		"--authority", c.Authority(), "--platform", "aks-kata", "--measurement", measurement)
	if err != nil {
		return "", err
	}
	return c.Run(ctx, "", c.programs.Skrctl, "key", "public", name, "--vault", c.Vault())
}

// Run runs a program in dir with the cloud's environment and returns its
// output.
func (c *Cloud) Run(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the developer names the program
	cmd.Dir, cmd.Env = dir, append(cmd.Environ(), c.Environment...)
	failure := new(Output)
	cmd.Stderr = failure
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, failure)
	}
	return string(out), nil
}

// Sidecar starts skr in the pod on the address, with more variables, NAME=value. It stops when ctx
// ends or stop is called.
func (c *Cloud) Sidecar(ctx context.Context, address string, log io.Writer, more ...string) (stop func(), err error) {
	skr := command(ctx, c.programs.Skr, "serve", "--listen", address)
	skr.Env, skr.Stderr = slices.Concat(skr.Environ(), c.Environment, more), log
	if err := skr.Start(); err != nil {
		return nil, fmt.Errorf("starting skr: %w", err)
	}
	return sync.OnceFunc(func() { end(skr) }), nil
}

// Keeping returns the variables of a sidecar that decrypts with a key and never gives it out. The
// alias has the name of the key.
func (c *Cloud) Keeping(name string) []string {
	keys := fmt.Sprintf(`{%q:{"vault":%q,"key":%q,"authority":%q,"versions":"all","ops":["decrypt"]}}`, name, c.Vault(), name, c.Authority())
	return []string{"SKR_KEYS=" + keys, "SKR_KEY_CACHE_TTL=10m"}
}

// Stop stops the cloud.
func (c *Cloud) Stop() { end(c.process) }

// command returns a command that ends as a kubelet ends it. The command has its
// own process group, so that an interrupt at the terminal reaches it only
// through ctx.
func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the developer names the program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	return cmd
}

func end(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have exited already
	_ = cmd.Wait()                          // the exit code does not matter
}

// Output collects the output of a process. It may be read while the process
// runs.
type Output struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write appends to the output.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns the output so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
