package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"skr/internal/jose/jwk"
	"skr/test/emulator"
	"skr/test/program"
)

const (
	realMAA   = "sharedeus.eus.attest.azure.net"
	realVault = "demo.vault.azure.net"
)

// dropIn starts skr with the reference sidecar's environment and flags, with the real host names,
// the default allow-lists and one CA. Only two settings are skr's own: the report source, and
// the roots of silicon that AMD did not make. more adds to the environment.
func dropIn(t *testing.T, more func(*emulator.Cloud) []string) (*emulator.Cloud, *sidecar) {
	t.Helper()
	cloud := program.Cloud(t, emulator.Config{ExtraHosts: []string{realMAA, realVault}})
	policy := bytes.ReplaceAll(policyFor(cloud, cloud.Machine().HostData()), []byte(cloud.AttestationHost()), []byte(realMAA))
	if _, err := cloud.CreateKey(t.Context(), realVault, emulator.KeySpec{Name: "k1", Size: 2048}, policy); err != nil {
		t.Fatal(err)
	}
	own := environmentOf(cloud)
	args := fmt.Sprintf(`{"certcache": {"endpoint_type":"LocalTHIM",
		"endpoint":"%s/metadata/THIM/amd/certification"}, "identity":{"client_id":""}}`, strings.TrimPrefix(cloud.IMDSURL(), "http://"))
	s := start(t, append(more(cloud),
		"SKR_REPORT_SOURCE="+own["SKR_REPORT_SOURCE"],
		"SKR_AMD_ROOTS="+own["SKR_AMD_ROOTS"],
		"SSL_CERT_FILE="+own["SKR_CA_FILE"],
		"SkrSideCarArgs="+base64.StdEncoding.EncodeToString([]byte(args)),
		"UVM_SECURITY_CONTEXT_DIR="+own["UVM_SECURITY_CONTEXT_DIR"],
		"HTTPS_PROXY="+connectProxy(t, cloud),
	), "-loglevel", "info").ready(t)
	return cloud, s
}

// A request of the reference sidecar's callers gets the key.
func TestDropIn(t *testing.T) {
	t.Parallel()
	cloud, s := dropIn(t, func(*emulator.Cloud) []string { return nil })
	access, err := cloud.AccessToken(realVault)
	if err != nil {
		t.Fatal(err)
	}
	request := fmt.Sprintf(`{"maa_endpoint":%q,"akv_endpoint":%q,"kid":"k1","access_token":%q}`, realMAA, realVault, access)
	var answer struct{ Key string }
	body := curl(t, "http://"+s.address+"/key/release", request)
	if err := json.Unmarshal(body, &answer); err != nil || answer.Key == "" {
		t.Fatalf("the answer is %.200q, %v", body, err)
	}
	key, err := jwk.Parse([]byte(answer.Key))
	if err != nil || key.Kty != "RSA" || key.D == "" || key.P == "" || key.DP == "" || len(key.KeyOps) == 0 {
		t.Errorf("key type %q with operations %q, %v", key.Kty, key.KeyOps, err)
	}
	for _, secret := range []string{access, key.D, key.P} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

// /skr.sh is the same binary, and its arguments replace the environment. `sh -c /skr.sh`
// is the only thing that it does as a shell.
func TestScriptNames(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	for _, argv := range [][]string{{"/skr.sh"}, {"/skr.sh", base64.StdEncoding.EncodeToString([]byte("{}"))}, {"/bin/sh", "-c", "/skr.sh"}} {
		t.Run(strings.Join(argv, " "), func(t *testing.T) {
			address := program.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			log := new(program.Output)
			process := &exec.Cmd{Path: program.Path("skr"), Args: argv, Env: append(cloud.Environment(cloud.Machine()), "Port="+port), Stderr: log}
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = process.Process.Kill(); _ = process.Wait() }()
			if _, stderr, code := once(t, nil, "", "healthcheck", "--listen", address, "--wait", "20s"); code != 0 {
				t.Errorf("not ready: %s\n%s", stderr, log)
			}
		})
	}
	process := &exec.Cmd{Path: program.Path("skr"), Args: []string{"sh", "-c", "id"}, Env: []string{}}
	out, err := process.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "has no shell") {
		t.Errorf("sh -c id: %v, %s", err, out)
	}
}

// curl posts as a person would, with curl itself if it is installed.
func curl(t *testing.T, url, body string) []byte {
	t.Helper()
	if path, err := exec.LookPath("curl"); err == nil {
		out, err := exec.CommandContext(t.Context(), path, "-s", "-d", body, url).Output()
		if err != nil {
			t.Fatalf("curl: %v", err)
		}
		return out
	}
	response, err := http.Post(url, "application/x-www-form-urlencoded", strings.NewReader(body)) // like curl -d
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	out, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// connectProxy connects every CONNECT to the cloud, so that real names reach it.
func connectProxy(t *testing.T, cloud *emulator.Cloud) string {
	t.Helper()
	_, port, err := net.SplitHostPort(cloud.AttestationHost())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		target, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = target.Close()
			return
		}
		go func() { _, _ = io.Copy(target, client); _ = target.Close() }()
		go func() { _, _ = io.Copy(client, target); _ = client.Close() }()
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = proxy.Serve(listener) }()
	t.Cleanup(func() { _ = proxy.Close() })
	return "http://" + listener.Addr().String()
}

func environmentOf(cloud *emulator.Cloud) map[string]string {
	env := map[string]string{}
	for _, entry := range cloud.Environment(cloud.Machine()) {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}

// The binary needs no CA bundle: it contains one for machines without their own.
func TestOwnRoots(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{ExtraHosts: []string{realMAA}})
	empty := t.TempDir()
	env := append(os.Environ(), cloud.Environment(cloud.Machine())...)
	env = append(env, "SKR_MAA_ALLOW="+realMAA, "SSL_CERT_FILE="+empty+"/none", "SSL_CERT_DIR="+empty, "HTTPS_PROXY="+connectProxy(t, cloud))
	env = program.Unassigned(append(env, "SKR_CA_FILE="))
	_, stderr, code := once(t, env, "{}", "attest", "maa", "--authority", realMAA)
	if code != 6 || !strings.Contains(stderr, "unknown authority") {
		t.Errorf("want a refusal of a server that is not Azure's: exit %d, %s", code, stderr)
	}
}

// A flag or the environment names the reference's log file.
func TestLogFile(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	for name, by := range map[string]func(path string) (env, args []string){
		"flag":        func(path string) ([]string, []string) { return nil, []string{"-logfile", path, "-server_type", "http"} },
		"environment": func(path string) ([]string, []string) { return []string{"LogFile=" + path, "LogLevel=trace"}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/skr.log"
			env, args := by(path)
			s := start(t, append(cloud.Environment(cloud.Machine()), env...), args...).ready(t)
			text, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(text), `"msg":"ready"`) || s.log.String() != "" {
				t.Errorf("the file has %.200q, %v; standard error has %q", text, err, s.log)
			}
		})
	}
}
