package e2e

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"skr/attest/snp"
	"skr/test/emulator"
	"skr/test/program"
)

// cocoLab is a sidecar with coco_listen. Commands of applications name 127.0.0.1:8006, which
// stands for its address.
type cocoLab struct {
	*sidecar

	cloud *emulator.Cloud
	coco  string // the address
	audit string // the file
}

const cocoAddress = "127.0.0.1:8006"

// newCoCoLab makes two keys: "aes" is given out, "kek" has the ops.
func newCoCoLab(t *testing.T, machine *emulator.Machine, cloud *emulator.Cloud, resources, ops string, env ...string) *cocoLab {
	t.Helper()
	vault, address, audit := cloud.Host("demo", "managedhsm"), program.FreeAddress(t), filepath.Join(t.TempDir(), "audit.log")
	createKey(t, cloud, vault, emulator.KeySpec{Name: "aes", Kty: "oct-HSM", Size: 256})
	createKey(t, cloud, vault, emulator.KeySpec{Name: "kek", Size: 2048})
	alias := func(key string) string {
		return fmt.Sprintf(`%q:{"vault":%q,"key":%q,"authority":%q`, key, vault, key, cloud.AttestationHost())
	}
	env = append(append(cloud.Environment(machine), "SKR_COCO_LISTEN="+address, "SKR_AUDIT_FILE="+audit,
		"SKR_KEYS={"+alias("aes")+"},"+alias("kek")+ops+"}}", "SKR_COCO={"+resources+`"authority":"`+cloud.AttestationHost()+`"}`), env...)
	return &cocoLab{start(t, env).ready(t), cloud, address, audit}
}

const aesResources = `"resources":{"default/key/1":{"alias":"aes","as":"raw"},"reponame/workload_key/key.bin":{"alias":"aes","as":"raw"},` +
	`"default/tls/key":{"alias":"kek","as":"pem"},"default/tls/raw":{"alias":"kek","as":"raw"}},`

// run runs a command of an application with the shell.
func (l *cocoLab) run(t *testing.T, command string) (stdout string, code int) {
	t.Helper()
	process := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, cocoAddress, l.coco))
	output, err := process.Output()
	if err != nil && process.ProcessState == nil {
		t.Fatal(err)
	}
	return string(output), process.ProcessState.ExitCode()
}

// Applications of Confidential Containers run as they are. Each command is theirs, with its
// source.
func TestCoCoApplications(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	l := newCoCoLab(t, cloud.Machine(), cloud, aesResources, "")
	for _, c := range []struct {
		source, command string
		works           func(stdout string) bool
		code            int
	}{
		{"confidential-containers/guest-components api-server-rest/README.md",
			`curl http://127.0.0.1:8006/cdh/resource/default/key/1`, func(out string) bool { return len(out) == 32 }, 0},
		{"confidential-containers/guest-components api-server-rest/README.md",
			`curl http://127.0.0.1:8006/aa/evidence\?runtime_data\=xxxx`, func(out string) bool { return l.isReport(t, out, "xxxx") }, 0},
		{"confidential-containers/guest-components api-server-rest/README.md",
			`curl http://127.0.0.1:8006/info`, func(out string) bool {
				return strings.HasPrefix(out, `{"version":"`) && strings.Contains(out, `","tee":"snp","feature":"all"}`)
			}, 0},
		{"confidential-containers/cloud-api-adaptor src/cloud-api-adaptor/test/e2e/remote_attestation.go, without a Key Broker Service",
			`curl -f -s -S -o /dev/null "http://127.0.0.1:8006/aa/token?token_type=kbs"`, func(string) bool { return true }, 22},
		{"confidential-containers documentation of runtime attestation (confidentialcontainers.org)",
			`curl -X POST http://127.0.0.1:8006/aa/aael -H "Content-Type: application/json" -d '{"domain":"test","operation":"test","content":"test"}'`,
			func(out string) bool {
				return out == `{"success":"false","message": "The platform does not support runtime measurement"}`
			}, 0},
		{"the same through the name of the address", `curl -s http://localhost:` + strings.TrimPrefix(cocoAddress, "127.0.0.1:") + `/cdh/resource/default/tls/key`,
			func(out string) bool { return strings.HasPrefix(out, "-----BEGIN PRIVATE KEY-----") }, 0},
	} {
		command := strings.ReplaceAll(c.command, "localhost:8006", "localhost:"+strings.Split(l.coco, ":")[1])
		if stdout, code := l.run(t, command); code != c.code || !c.works(stdout) {
			t.Errorf("%s: exit %d, %d bytes\n%s", c.source, code, len(stdout), l.log)
		}
	}
	// busybox wget -q -O- (cloud-api-adaptor src/cloud-api-adaptor/test/e2e/common_suite.go, key release)
	answer := rawGet(t, l.coco, cocoAddress, "/cdh/resource/reponame/workload_key/key.bin")
	if !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") || !strings.Contains(answer, "Content-Type: application/octet-stream\r\n") {
		t.Errorf("busybox: %q", answer)
	}
	if text, err := os.ReadFile(l.audit); err != nil || strings.Count(string(text), `"result":"released"`) != 3 {
		t.Errorf("the audit file has not three releases: %v\n%s", err, text)
	}
	l.checkTexts(t)
}

// isReport reports whether evidence of snp has the runtime data in REPORT_DATA, and whether a
// verifier that puts the report together again gets the bytes that the chip signed.
func (l *cocoLab) isReport(t *testing.T, text, data string) bool {
	t.Helper()
	var evidence struct {
		Report map[string]json.RawMessage `json:"attestation_report"`
		Chain  []struct {
			Type string `json:"cert_type"`
			Data []int  `json:"data"`
		} `json:"cert_chain"`
	}
	if err := json.Unmarshal([]byte(text), &evidence); err != nil || len(evidence.Chain) != 3 || evidence.Chain[0].Type != "VCEK" {
		t.Errorf("the evidence is %v: %.200s", err, text)
		return false
	}
	report, err := snp.Parse(assemble(t, evidence.Report))
	if err != nil {
		t.Fatal(err)
	}
	var want snp.ReportData
	copy(want[:], data)
	if report.ReportData() != want {
		t.Errorf("REPORT_DATA is %s", report.ReportData())
	}
	var certificates []byte
	for _, one := range evidence.Chain {
		certificates = append(certificates, pemOf(bytesOf(one.Data))...)
	}
	file, base := filepath.Join(t.TempDir(), "evidence.json"), base64.StdEncoding.EncodeToString
	combined := fmt.Sprintf(`{"evidence":%q,"endorsements":%q}`, base(report.Raw()), base(certificates))
	if err := os.WriteFile(file, []byte(combined), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, _ := operate(t, l.cloud.Environment(l.cloud.Machine()), "", "report", "verify", file)
	if !hasLine(stdout, "ok ", "report signature", "by the VCEK") || !hasLine(stdout, "ok ", "certificate chain") {
		t.Errorf("skrctl report verify:\n%s%s", stdout, stderr)
		return false
	}
	return true
}

const (
	tooLong      = "bad request: the report has room for 64 bytes: send a hash of what you mean"
	noResource   = "bad request: the section coco of the configuration has no such resource"
	illegalEvent = "Illegal AAEL eventry format: domain, operation and content must be strings"
	noBroker     = "bad request: kbs token config not configured in config file; this sidecar has no Key Broker Service: " +
		"token_type=maa returns a token of Azure's attestation service"
)

// checkTexts checks statuses, texts and headers byte for byte (guest-components, router.rs).
func (l *cocoLab) checkTexts(t *testing.T) {
	t.Helper()
	for name, c := range map[string]struct {
		method, target, body string
		header               string // name: value
		status               int
		text                 string // "" is not compared
	}{
		"root":              {"GET", "/", "", "", 404, "URL NOT FOUND"},
		"no path":           {"GET", "/cdh/resource", "", "", 404, "URL NOT FOUND"},
		"other of cdh":      {"GET", "/cdh/other/a/b/c", "", "", 404, "URL NOT FOUND"},
		"other of aa":       {"GET", "/aa/other", "", "", 404, "URL NOT FOUND"},
		"slash":             {"GET", "/aa/token/?token_type=kbs", "", "", 404, "URL NOT FOUND"},
		"method of aa":      {"POST", "/aa/token?token_type=kbs", "", "", 404, "URL NOT FOUND"},
		"method of aael":    {"GET", "/aa/aael", "", "", 404, "URL NOT FOUND"},
		"method of info":    {"POST", "/info", "", "", 405, "Method Not Allowed"},
		"no token type":     {"GET", "/aa/token", "", "", 400, "BAD REQUEST"},
		"no data":           {"GET", "/aa/evidence?x=y", "", "", 400, "BAD REQUEST"},
		"encoding":          {"GET", "/aa/evidence?runtime_data=QQ&encoding=hex", "", "", 400, "BAD REQUEST"},
		"padded":            {"GET", "/aa/evidence?runtime_data=QQ==&encoding=base64", "", "", 400, "BAD REQUEST"},
		"other alphabet":    {"GET", "/aa/additional-evidence?runtime_data=%2B%2B&encoding=base64", "", "", 400, "BAD REQUEST"},
		"additional":        {"GET", "/aa/additional-evidence?runtime_data=QQ&encoding=base64", "", "", 200, ""},
		"token of kbs":      {"GET", "/aa/token?token_type=kbs", "", "", 500, noBroker},
		"unknown token":     {"GET", "/aa/token?token_type=x", "", "", 500, "bad request: Unsupported token type; this sidecar has maa"},
		"event of no JSON":  {"POST", "/aa/aael", "{", "", 500, illegalEvent},
		"event, one absent": {"POST", "/aa/aael", `{"domain":"a","operation":"b"}`, "", 500, illegalEvent},
		"no resource":       {"GET", "/cdh/resource/default/key/2", "", "", 500, "kbs:///default/key/2: " + noResource},
		"empty resource":    {"GET", "/cdh/resource/", "", "", 500, "kbs:///: " + noResource},
		"no such form":      {"GET", "/cdh/resource/default/tls/raw", "", "", 500, ""},
		"too much data":     {"GET", "/aa/evidence?runtime_data=" + strings.Repeat("a", 65), "", "", 500, tooLong},
		"a page":            {"GET", "/cdh/resource/default/key/1", "", "Sec-Fetch-Site: cross-site", 403, "Forbidden"},
		"another origin":    {"POST", "/cdh/resource/default/key/1", "", "Origin: http://evil.example", 403, "Forbidden"},
		"any method":        {"PUT", "/cdh/resource/default/key/1", "", "", 200, ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+l.coco+c.target, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if name, value, found := strings.Cut(c.header, ": "); found {
			request.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != c.status || c.text != "" && string(text) != c.text {
			t.Errorf("%s: %d %.200q, %v", name, response.StatusCode, text, err)
		}
		if _, typed := response.Header["Content-Type"]; typed != (c.status == 200) || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the header is %v", name, response.Header)
		}
		if name == "additional" && len(text) != 0 {
			t.Errorf("additional evidence: %q", text)
		}
	}
	if answer := rawGet(t, l.coco, "0.0.0.0:8006", "/cdh/resource/default/key/1"); !strings.HasSuffix(answer, "\r\n\r\nForbidden") {
		t.Errorf("a Host that browsers do not mark: %q", answer)
	}
	if answer := rawGet(t, l.address, cocoAddress, "/cdh/resource/default/key/1"); !strings.HasPrefix(answer, "HTTP/1.1 404 ") {
		t.Errorf("the other listener: %q", answer)
	}
}

// On a confidential VM the evidence is az-snp-vtpm or az-tdx-vtpm, version 2: the data are in the
// paravisor's claims, and the nonce of a quote over 24 registers. No event is extended into one.
func TestCoCoVirtualMachine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		platform emulator.Platform
		tee      string
		checks   []string
	}{
		{emulator.ConfidentialVM, "az-snp-vtpm", []string{"report signature", "certificate chain", "runtime data"}},
		{emulator.TDX, "az-tdx-vtpm", []string{"TDX quote", "PCK certificate", "QE report", "TDX signature", "TD attributes", "TD report", "runtime data"}},
	} {
		t.Run(c.tee, func(t *testing.T) {
			t.Parallel()
			checkCoCoMachine(t, c.platform, c.tee, c.checks)
		})
	}
}

// checkCoCoMachine verifies the evidence of a machine with skrctl, which must make the checks.
func checkCoCoMachine(t *testing.T, platform emulator.Platform, tee string, checks []string) {
	t.Helper()
	lab := newVMLab(t, emulator.MachineConfig{Platform: platform})
	l := newCoCoLab(t, lab.vm, lab.Cloud, "", "")
	digest := sha512.Sum384([]byte("nonce and key of a Key Broker Service"))
	for name, data := range map[string]string{"text": "a-test-of-16-bytes", "SHA-384": string(digest[:])} {
		query := "runtime_data=" + data
		if name == "SHA-384" {
			query = "encoding=base64&runtime_data=" + urlBase64(data)
		}
		text, code := l.run(t, `curl -s "http://127.0.0.1:8006/aa/evidence?`+query+`"`)
		var evidence struct {
			Version int `json:"version"`
			Quote   struct {
				PCRs []string `json:"pcrs"`
			} `json:"tpm_quote"`
		}
		if err := json.Unmarshal([]byte(text), &evidence); err != nil || code != 0 || evidence.Version != 2 || len(evidence.Quote.PCRs) != 24 {
			t.Fatalf("%s: exit %d, %v: %.200s\n%s", name, code, err, text, l.log)
		}
		file, policy := filepath.Join(t.TempDir(), "evidence.json"), filepath.Join(t.TempDir(), "policy.yaml")
		for path, content := range map[string]string{file: text, policy: "ak: hcl\nselection: [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23]\n"} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for nonce, outcome := range map[string]string{hex.EncodeToString([]byte(data)): "ok ", strings.Repeat("00", 32): "FAILED"} {
			stdout, stderr, _ := operate(t, l.cloud.Environment(lab.vm), "", "vtpm", "verify", "--policy", policy, "--nonce", nonce, file)
			right := hasLine(stdout, outcome, "nonce")
			for _, check := range append(checks, "attestation key", "quote signature", "PCR selection", "PCR values") {
				right = right && hasLine(stdout, "ok ", check)
			}
			if !right {
				t.Errorf("%s, nonce %s:\n%s%s", name, nonce, stdout, stderr)
			}
		}
		bound := hex.EncodeToString([]byte(data)) + strings.Repeat("00", 64-len(data))
		if shown, _, _ := operate(t, nil, "", "show", file); !strings.Contains(strings.ToLower(shown), bound) {
			t.Errorf("%s: the claims do not have the data:\n%s", name, shown)
		}
	}
	if info, _ := l.run(t, "curl -s http://127.0.0.1:8006/info"); !strings.Contains(info, `"tee":"`+tee+`","feature":"attestation"}`) {
		t.Errorf("info: %s", info)
	}
	if text, _ := l.run(t, "curl -s http://127.0.0.1:8006/cdh/resource/default/key/1"); text != "Resource Feature Not Enabled" {
		t.Errorf("without resources: %q", text)
	}
	event, _ := l.run(t, `curl -s http://127.0.0.1:8006/aa/aael -d '{"domain":"a","operation":"b","content":"c"}'`)
	if event != `{"success":"false","message": "Attestation Agent does not enable eventlog recording"}` {
		t.Errorf("event: %s", event)
	}
	token, _ := l.run(t, `curl -s "http://127.0.0.1:8006/aa/token?token_type=maa"`)
	if strings.Count(token, ".") != 2 {
		t.Errorf("token: %s", token)
	}
}

// Files that a kept key opens are resources too, and the key stays. A sealed secret needs the
// configured signature.
func TestCoCoFiles(t *testing.T) {
	t.Parallel()
	cloud := program.Cloud(t, emulator.Config{})
	dir := t.TempDir()
	signer, other := newSealer(t), newSealer(t)
	if err := os.WriteFile(filepath.Join(dir, "signer.pem"), signer.public(t), 0o600); err != nil {
		t.Fatal(err)
	}
	resource := func(name, more string) string {
		return fmt.Sprintf(`"default/file/%s":{"alias":"kek",%s}`, name, strings.ReplaceAll(more, "DIR", dir))
	}
	sealed := func(name string) string { return resource(name, `"sealed":"DIR/`+name+`","signer":"DIR/signer.pem"`) }
	resources := `"resources":{` + strings.Join([]string{
		resource("envelope", `"envelope":"DIR/envelope"`), resource("absent", `"envelope":"DIR/absent"`), resource("key", `"as":"pem"`),
		sealed("sealed"), sealed("forged"), sealed("unsigned"), sealed("other-key"), sealed("altered"), sealed("vault"),
	}, ",") + "},"
	l := newCoCoLab(t, cloud.Machine(), cloud, resources, `,"ops":["decrypt","unwrapKey"]`, "SKR_KEY_CACHE_TTL=1h")
	kept, err := l.client.KeptKey(t.Context(), "kek")
	if err != nil {
		t.Fatal(err)
	}
	public, id := publicOf(t, kept), "https://"+cloud.Host("demo", "managedhsm")+"/keys/kek/"+kept.Version()
	for name, text := range map[string]string{
		"envelope":  sealJWE(t, public, "a certificate"),
		"sealed":    signer.seal(t, public, id, "a password"),
		"forged":    other.seal(t, public, id, "a password"),
		"unsigned":  "sealed.fakejwsheader." + strings.Split(signer.seal(t, public, id, "a password"), ".")[2] + ".fakesignature",
		"other-key": signer.seal(t, public, strings.Replace(id, "/keys/kek", "/keys/other", 1), "a password"),
		"altered":   alter(signer.seal(t, public, id, "a password")),
		"vault":     signer.sign(t, `{"version":"0.1.0","type":"vault","provider":"kbs","name":"kbs:///a/b/c","provider_settings":{},"annotations":{}}`),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ status, text string }{
		"envelope":  {"200", "a certificate"},
		"sealed":    {"200", "a password"},
		"key":       {"403", "kbs:///default/file/key: caller not allowed: the key of alias \"kek\" stays in the sidecar"},
		"absent":    {"500", "kbs:///default/file/absent: bad request: the file of this resource cannot be used"},
		"forged":    {"500", "kbs:///default/file/forged: bad request: the file of this resource cannot be used"},
		"unsigned":  {"500", "kbs:///default/file/unsigned: bad request: the file of this resource cannot be used"},
		"altered":   {"500", "kbs:///default/file/altered: bad request: the file of this resource cannot be used"},
		"vault":     {"500", "kbs:///default/file/vault: bad request: the file of this resource cannot be used"},
		"other-key": {"500", "kbs:///default/file/other-key: bad request: the file of this resource does not open"},
	} {
		got, _ := l.run(t, "curl -s -w '\\n%{http_code}' http://127.0.0.1:8006/cdh/resource/default/file/"+name)
		text, status, _ := strings.Cut(got, "\n")
		if status != c.status || !strings.HasPrefix(text, c.text) || c.status == "200" && text != c.text {
			t.Errorf("%s: %s %q\n%s", name, status, text, l.log)
		}
	}
	record, err := os.ReadFile(l.audit)
	if err != nil || strings.Count(string(record), `"operation":"unwrapKey","items":1,"failed":0`) != 1 ||
		!strings.Contains(string(record), `"operation":"decrypt","items":1,"failed":0`) || strings.Contains(string(record), `"result":"released"`) {
		t.Errorf("the audit file: %v\n%s", err, record)
	}
	for _, secret := range []string{"a password", "a certificate"} {
		if strings.Contains(l.log.String(), secret) || strings.Contains(string(record), secret) {
			t.Errorf("the log or the audit has %q", secret)
		}
	}
}

// What callers bound by access rules, and callers of a sidecar that keeps keys, may have bound
// cannot be the hash of a key pair of their own.
func TestCoCoBoundCallers(t *testing.T) {
	t.Parallel()
	cloud, second := program.Cloud(t, emulator.Config{}), program.Cloud(t, emulator.Config{})
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a-token-of-32-characters-or-more"), 0o600); err != nil {
		t.Fatal(err)
	}
	rule := `SKR_ACCESS=[{"name":"app","token_file":"` + token + `","routes":["/cdh/resource","/aa/evidence","/aa/token"],"keys":["aes"]}]`
	for name, l := range map[string]*cocoLab{
		"access":   newCoCoLab(t, cloud.Machine(), cloud, aesResources, "", rule),
		"kept key": newCoCoLab(t, second.Machine(), second, aesResources, `,"ops":["decrypt"]`),
	} {
		bearer := `-H "Authorization: Bearer a-token-of-32-characters-or-more" `
		for target, want := range map[string]string{
			"/aa/evidence?runtime_data=sixteen-bytes-ok":                      "200",
			"/aa/evidence?runtime_data=" + strings.Repeat("a", 32):            "403",
			"/aa/evidence?runtime_data=" + strings.Repeat("a", 17):            "403",
			"/aa/evidence?runtime_data=" + strings.Repeat("a", 64):            "403", // REPORT_DATA of the chip: MAA may ignore the second half
			"/aa/token?token_type=maa":                                        "200",
			"/aa/token?token_type=maa&runtime_data=" + long("%7B%22a%22:%22"): "403",
			"/cdh/resource/default/key/1":                                     "200",
			"/cdh/resource/default/tls/key":                                   "403",
			"/cdh/resource/default/tls/absent":                                map[string]string{"access": "403", "kept key": "500"}[name],
		} {
			got, _ := l.run(t, `curl -s -o /dev/null -w '%{http_code}' `+bearer+`"http://127.0.0.1:8006`+target+`"`)
			if got != want {
				t.Errorf("%s, %s: %s, want %s\n%s", name, target, got, want, l.log)
			}
		}
		if got, _ := l.run(t, `curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8006/cdh/resource/default/key/1`); name == "access" && got != "403" {
			t.Errorf("without the token: %s", got)
		}
	}
}

// long returns the query text of a JSON object of more than 64 bytes that begins so.
func long(begin string) string { return begin + strings.Repeat("a", 70) + "%22%7D" }

// The configuration in docs/coco.md is one, and its commands work with it.
func TestCoCoDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/coco.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	settings, rest, _ := strings.Cut(rest, "```")
	_, rest, _ = strings.Cut(rest, "```sh\n")
	commands, _, _ := strings.Cut(rest, "```")
	cloud, dir := program.Cloud(t, emulator.Config{}), t.TempDir()
	signer := newSealer(t)
	address, vault, key := program.FreeAddress(t), cloud.Host("contoso", "vault"), cloud.Host("contoso", "managedhsm")
	createKey(t, cloud, key, emulator.KeySpec{Name: "db", Kty: "oct-HSM", Size: 256})
	createKey(t, cloud, vault, emulator.KeySpec{Name: "wrap", Size: 2048})
	settings = strings.NewReplacer(cocoAddress, address, "contoso.managedhsm.azure.net", key, "contoso.vault.azure.net", vault,
		"sharedeus.eus.attest.azure.net", cloud.AttestationHost(), "/secrets/", dir+"/").Replace(settings)
	for name, content := range map[string]string{"config.yaml": settings, "signer.pem": string(signer.public(t))} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := &cocoLab{sidecar: start(t, append(cloud.Environment(cloud.Machine()), "SKR_CONFIG="+filepath.Join(dir, "config.yaml"))).ready(t), coco: address}
	wrap, err := l.client.KeptKey(t.Context(), "wrap")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"chain.jwe": sealJWE(t, publicOf(t, wrap), "a chain"), "password": signer.seal(t, publicOf(t, wrap), "https://"+vault+"/keys/wrap", "a password"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{"tls/chain": "a chain", "db/password": "a password"} {
		if got, _ := l.run(t, "curl -s http://127.0.0.1:8006/cdh/resource/default/"+path); got != want {
			t.Errorf("%s: %q\n%s", path, got, l.log)
		}
	}
	for command := range strings.Lines(commands) {
		command = strings.Replace(strings.TrimSpace(command), "-o db.key", "-o "+filepath.Join(dir, "db.key"), 1)
		if _, code := l.run(t, strings.Replace(command, "curl -s", "curl -sSf", 1)); code != 0 {
			t.Errorf("%s: exit %d\n%s", command, code, l.log)
		}
	}
	if made, err := os.ReadFile(filepath.Join(dir, "db.key")); err != nil || len(made) != 32 {
		t.Errorf("db.key has %d bytes, %v", len(made), err)
	}
}
