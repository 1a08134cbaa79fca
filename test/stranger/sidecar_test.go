package stranger

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// world is everything outside the sidecar: one server of each kind, a proxy that connects
// the public names to them, and the sidecar's configuration.
type world struct {
	seen      *ledger
	report    *reportSocket
	thim      *thim
	authority *authority
	vault     *vault
	hsm       *vault
	proxy     *proxy
	archive   *archive
	bystander string // host:port of an HTTP server that should get no request

	certcache object   // of SkrSideCarArgs
	roots     string   // PEM of the AMD root file
	env       []string // more of the environment
	drop      []string // names to remove from the environment
}

// newWorld starts the servers. The settings apply to the servers that speak TLS.
func newWorld(t *testing.T, settings ...func(*httptest.Server)) *world {
	w := &world{
		seen: &ledger{}, report: &reportSocket{version: 3, measurement: measurement}, thim: newTHIM(), archive: &archive{},
		authority: newAuthority(), vault: newVault(), hsm: newHSM(), roots: pemOf(milan().ark),
	}
	w.report.serve(t, w.seen)
	w.thim.host = serveHTTP(t, w.seen.watch("thim", &w.thim.before, w.thim.handler()))
	w.bystander = serveHTTP(t, w.seen.watch("bystander", nil, http.HandlerFunc(http.NotFound)))
	w.certcache = object{"endpoint_type": "LocalTHIM", "endpoint": w.thim.host + thimPath}
	secure := func(name string, who *identity, before *intercept, handler http.Handler) string {
		return serveTLS(t, who, w.seen.watch(name, before, handler), settings...)
	}
	archive := secure("archive", archiveIdentity(), nil, w.archive.handler())
	w.proxy = &proxy{seen: w.seen, names: map[string]string{
		authorityName + ":443": secure("authority", authorityIdentity(), &w.authority.before, w.authority.handler()),
		vaultName + ":443":     secure("vault", vaultIdentity(), &w.vault.before, w.vault.handler()),
		hsmName + ":443":       secure("hsm", hsmIdentity(), &w.hsm.before, w.hsm.handler()),
		kdsName + ":443":       archive,
		cacheName + ":443":     archive,
	}}
	w.proxy.elsewhere = secure("elsewhere", elsewhereIdentity(), nil, http.HandlerFunc(http.NotFound))
	return w
}

// sideCarArgs returns the drop-in configuration in base64.
func (w *world) sideCarArgs() string {
	return base64.StdEncoding.EncodeToString(must(json.Marshal(object{"certcache": w.certcache})))
}

// environment returns the sidecar's whole environment, in documented names.
func (w *world) environment(t *testing.T) []string {
	env := []string{
		"SKR_REPORT_SOURCE=unix:" + w.report.path,
		"SKR_AMD_ROOTS=" + write(t, "ark.pem", w.roots),
		"SSL_CERT_FILE=" + write(t, "ca.pem", pemOf(testCA().root)),
		"SkrSideCarArgs=" + w.sideCarArgs(),
		"HTTPS_PROXY=http://" + serveHTTP(t, w.seen.watch("proxy", nil, w.proxy)),
	}
	env = slices.DeleteFunc(env, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(w.drop, name)
	})
	return append(env, w.env...)
}

func write(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sidecar is the running process.
type sidecar struct {
	port int
	log  *transcript
}

// transcript collects the output of a process.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// patience is how long tests wait for an event that must happen.
const patience = 2 * time.Minute

// start runs the sidecar as the image's entry point does.
func (w *world) start(t *testing.T) *sidecar {
	t.Helper()
	port := freePort()
	return w.run(t, port, "skr", "-port", strconv.Itoa(port), "-loglevel", "info")
}

// run starts the binary under a name and waits until it answers. The process must stop on
// SIGTERM with status 0, and its log must not contain a token.
func (w *world) run(t *testing.T, port int, name string, arguments ...string) *sidecar {
	t.Helper()
	s := &sidecar{port: port, log: &transcript{}}
	command := exec.Command(skr)
	command.Args = append([]string{name}, arguments...)
	command.Env, command.Dir = w.environment(t), t.TempDir()
	command.Stdout, command.Stderr = s.log, s.log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() { s.stop(t, command, ended) })
	s.await(t, ended)
	return s
}

func (s *sidecar) await(t *testing.T, ended chan error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the sidecar ended: %v\n%s", err, s.log)
		case <-deadline:
			t.Fatalf("the sidecar does not listen\n%s", s.log)
		case <-tick.C:
			connection, err := net.Dial("tcp", s.address())
			if err == nil {
				_ = connection.Close()
				return
			}
		}
	}
}

func (s *sidecar) stop(t *testing.T, command *exec.Cmd, ended chan error) {
	_ = command.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the sidecar ended: %v\n%s", err, s.log)
		}
	case <-time.After(patience):
		_ = command.Process.Kill()
		t.Errorf("the sidecar did not end on SIGTERM and was killed: %v\n%s", <-ended, s.log)
	}
	if strings.Contains(s.log.String(), accessToken) {
		t.Error("the log holds the access token")
	}
	if t.Failed() {
		t.Logf("log of the sidecar:\n%s", s.log)
	}
}

func (s *sidecar) address() string { return net.JoinHostPort("localhost", strconv.Itoa(s.port)) }

// lastPort counts down below the range from which the system assigns ports, so that no
// server or connection of a parallel test takes one.
var lastPort atomic.Int32

func init() { lastPort.Store(int32(10000 + os.Getpid()%15000)) }

func freePort() int {
	for {
		port := int(lastPort.Add(1))
		listener, err := net.Listen("tcp", net.JoinHostPort("localhost", strconv.Itoa(port)))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
}

// wantTokenOnlyAt checks that the access token reached only the named servers, and that no
// request reached a server that the configuration does not name.
func (w *world) wantTokenOnlyAt(t *testing.T, servers ...string) {
	t.Helper()
	if got := w.seen.holders(accessToken); !slices.Equal(got, servers) {
		t.Errorf("the access token reached %q, want %q", got, servers)
	}
	for _, stray := range []string{"elsewhere", "bystander"} {
		for _, v := range w.seen.at(stray) {
			t.Errorf("%s %s%s reached a server that should get no request", v.method, v.host, v.path)
		}
	}
}

// crlf gives text the line breaks of a file that was edited on Windows.
func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
