package e2e

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"skr/api"
	"skr/attest/snp"
	"skr/internal/jwk"
	"skr/test/emulator"
	"skr/test/emulator/fault"
	"skr/test/emulator/maa"
	"skr/test/snptest"
)

const (
	// answerSlack is how much later than the deadline an answer may come on a
	// machine that is busy with other tests.
	answerSlack = 1500 * time.Millisecond
)

const (
	// served is the outcome of a fault that does no harm.
	served api.Code = ""
	// late is that of a service that says nothing: how long one attempt waits
	// decides whether the deadline passed or all attempts failed.
	late api.Code = "timeout or unavailable"
)

// outcomes are the codes that faults lead to, by the words of a fault rule.
type outcomes map[string]api.Code

// usual is for a service that is asked over HTTP and whose answer is verified.
// What a 4xx means differs, and is in the rows below.
var usual = outcomes{
	"status=200":                api.UntrustedResponse, // an error's body under a good status
	"status=204":                api.UntrustedResponse,
	"status=302":                api.UntrustedResponse,
	"status=408":                api.Unavailable,
	"status=429":                api.Throttled,
	"status=429,retry-after=7s": api.Throttled,
	"status=500":                api.Unavailable,
	"status=503":                api.Unavailable,
	"reset":                     api.Unavailable,
	"black-hole":                late,
	"slow-body":                 late,
	"slow-body,delay=20ms":      served,
	"truncate":                  api.Unavailable,
	"oversize":                  api.UntrustedResponse,
	"not-json":                  api.UntrustedResponse,
	"content-type":              served, // the true answer, whatever it is called
}

// but is o with other outcomes for the faults of more.
func (o outcomes) but(more outcomes) outcomes {
	all := maps.Clone(o)
	maps.Copy(all, more)
	return all
}

// upstream is a service, and what its faults lead to.
type upstream struct {
	name    string // of the test
	service string
	want    outcomes
	// own: the sidecar's identity asks the vault, and not the caller's.
	own bool
	// fresh: what the service says is kept, so that each fault needs a sidecar
	// that has not asked yet.
	fresh bool
	env   func(*testing.T, *emulator.Cloud) []string
}

// upstreams decides each outcome by who refused (api/error.go).
var upstreams = []upstream{
	{name: "report", service: emulator.ServiceReport, want: outcomes{ // the Attester: whatever is wrong, there is no evidence
		"status=400": api.NoEvidence, "status=401": api.NoEvidence, "status=403": api.NoEvidence, "status=404": api.NoEvidence,
		"status=200": api.NoEvidence, "status=204": api.NoEvidence, "status=302": api.NoEvidence, "status=408": api.NoEvidence,
		"status=429": api.NoEvidence, "status=429,retry-after=7s": api.NoEvidence, "status=500": api.NoEvidence, "status=503": api.NoEvidence,
		"reset": api.NoEvidence, "black-hole": api.Timeout, "slow-body": api.Timeout, "slow-body,delay=20ms": served,
		"truncate": api.NoEvidence, "oversize": api.NoEvidence, "not-json": api.NoEvidence, "content-type": served,
	}},
	{name: "thim", service: emulator.ServiceTHIM, fresh: true, env: thimOnly, want: usual.but(outcomes{ // the Endorser has nothing that verifies
		"status=400": api.NoEndorsements, "status=401": api.NoEndorsements, "status=403": api.NoEndorsements, "status=404": api.NoEndorsements,
		"status=200": api.NoEndorsements, "status=204": api.NoEndorsements, "status=302": api.NoEndorsements,
		"oversize": api.NoEndorsements, "not-json": api.NoEndorsements,
	})},
	{name: "imds-token", service: emulator.ServiceIdentity, own: true, fresh: true, want: usual.but(outcomes{
		"status=400": api.ReleaseRejected, "status=401": api.ReleaseRejected, "status=403": api.ReleaseRejected,
		"status=404": api.Unavailable, "status=410": api.Unavailable, // IMDS, while it is being updated
	})},
	{name: "entra-token", service: emulator.ServiceEntraToken, own: true, fresh: true, env: workloadIdentity, want: usual.but(outcomes{
		"status=400": api.ReleaseRejected, "status=401": api.ReleaseRejected, "status=403": api.ReleaseRejected, "status=404": api.ReleaseRejected,
	})},
	{name: "maa-attest", service: emulator.ServiceAttest, want: usual.but(outcomes{
		"status=400": api.AttestationRejected, "status=401": api.AttestationRejected, "status=403": api.AttestationRejected,
		"status=404": api.UntrustedResponse, // there is no attestation service at all
	})},
	{name: "maa-certs", service: emulator.ServiceMAACerts, fresh: true, want: usual.but(outcomes{
		"status=400": api.UntrustedResponse, "status=401": api.UntrustedResponse, "status=403": api.UntrustedResponse, "status=404": api.UntrustedResponse,
	})},
	{name: "maa-discovery", service: emulator.ServiceMAAConfig, fresh: true, want: usual.but(outcomes{
		"status=400": api.UntrustedResponse, "status=401": api.UntrustedResponse, "status=403": api.UntrustedResponse,
		"status=404": served, // the keys' path is documented without it
	})},
	{name: "vault-release", service: emulator.ServiceRelease, env: attestOnce, want: usual.but(outcomes{
		"status=400": api.ReleaseRejected, "status=401": api.ReleaseRejected, "status=403": api.ReleaseRejected,
		"status=404": api.KeyNotFound,
	})},
	{name: "token-forgeries", service: emulator.ServiceAttest, want: tokenForgeries()},
	{name: "statement-forgeries", service: emulator.ServiceRelease, env: attestOnce, want: forged("alg-none", "hs256", "self-signed", "other-signature",
		"other-kid", "other-enc", "wrong-nonce", "other-key", "flip-ciphertext", "short-key")},
}

func thimOnly(*testing.T, *emulator.Cloud) []string { return []string{"SKR_CERTIFICATE_SOURCES=thim"} }

// attestOnce saves the time of making keys where no attestation is tested. The
// vault is asked all the same.
func attestOnce(*testing.T, *emulator.Cloud) []string {
	return []string{"SKR_ATTESTATION_MAX_AGE=1h"}
}

func workloadIdentity(t *testing.T, cloud *emulator.Cloud) []string {
	env, err := cloud.WorkloadIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func forged(names ...string) outcomes {
	want := outcomes{}
	for _, name := range names {
		want["forge="+name] = api.UntrustedResponse
	}
	return want
}

func tokenForgeries() outcomes {
	var names []string
	for _, forgery := range maa.Forgeries() {
		names = append(names, string(forgery))
	}
	return forged(names...)
}

// TestFaults makes each service fail in each way. The answer is the row of the
// error table that says who refused, in time, and the next good call succeeds.
func TestFaults(t *testing.T) {
	t.Parallel()
	vendor, err := snptest.NewVendor(snp.Milan, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var sum tally
	var running sync.WaitGroup
	for _, u := range upstreams {
		parts := 1
		if u.fresh {
			parts = 2 // each with a cloud of its own: most of the time is waiting
		}
		for part := range parts {
			running.Go(func() {
				t.Run(fmt.Sprintf("%s %d", u.name, part+1), func(t *testing.T) {
					f := &faulty{newLab(t, emulator.Config{Vendor: vendor}), u, nil}
					if !u.fresh {
						f.shared = f.sidecar(t)
					}
					for i, words := range slices.Sorted(maps.Keys(u.want)) {
						if i%parts == part {
							sum.run(t, words, func(t *testing.T) { f.try(t, words) })
						}
					}
				})
			})
		}
	}
	running.Wait()
	sum.log(t, "faults")
}

// tally counts what was as expected.
type tally struct{ cases, good atomic.Int64 }

func (s *tally) run(t *testing.T, name string, test func(*testing.T)) {
	s.cases.Add(1)
	if t.Run(name, test) {
		s.good.Add(1)
	}
}

func (s *tally) log(t *testing.T, what string) {
	t.Logf("%d %s: %d as expected, %d not", s.cases.Load(), what, s.good.Load(), s.cases.Load()-s.good.Load())
}

// lab is a cloud with a key, and the secrets that nobody may see.
type lab struct {
	cloud  *emulator.Cloud
	vault  string
	access string
}

func newLab(t *testing.T, config emulator.Config) *lab {
	t.Helper()
	cloud := newCloud(t, config)
	l := &lab{cloud: cloud, vault: cloud.Host("demo", "vault")}
	createKey(t, cloud, l.vault, emulator.KeySpec{Name: "k", Size: 2048})
	var err error
	if l.access, err = cloud.AccessToken(l.vault); err != nil {
		t.Fatal(err)
	}
	return l
}

// request is the good one, with the caller's access token.
func (l *lab) request() api.ReleaseRequest {
	return api.ReleaseRequest{MAAEndpoint: l.cloud.AttestationHost(), AKVEndpoint: l.vault, KID: "k", AccessToken: api.Secret(l.access)}
}

// sidecar that attests anew for each release and tells all that it ever tells.
// Its log is searched for secrets, crashes and bugs when the test ends.
func (l *lab) sidecar(t *testing.T, env ...string) *sidecar {
	t.Helper()
	all := append(l.cloud.Environment(l.cloud.Machine()),
		"SKR_ATTESTATION_MAX_AGE=0", "SKR_REQUEST_TIMEOUT="+requestTimeout.String(), "SKR_LOG_LEVEL=debug")
	s := startListening(t, append(all, env...))
	t.Cleanup(func() { l.inspect(t, s, 0) })
	return s
}

// startListening takes another port where somebody else was quicker: many
// sidecars start here at once.
func startListening(t *testing.T, env []string) *sidecar {
	t.Helper()
	const tries = 5
	for try := 1; ; try++ {
		s := start(t, env)
		up, ended := false, false
		eventually(t, "skr listens or ends", func() bool {
			select {
			case err := <-s.exited:
				s.exited <- err
				ended = true
			default:
				up = strings.Contains(s.log.String(), `"listening"`)
			}
			return up || ended
		})
		if !ended {
			return s
		}
		if try == tries || !strings.Contains(s.log.String(), "address already in use") {
			t.Fatalf("skr ended: %s", s.log)
		}
	}
}

// faulty is a cloud of which one service fails.
type faulty struct {
	*lab
	upstream
	shared *sidecar
}

func (f *faulty) sidecar(t *testing.T) *sidecar {
	if f.shared != nil {
		return f.shared
	}
	var env []string
	if f.env != nil {
		env = f.env(t, f.cloud)
	}
	return f.lab.sidecar(t, env...)
}

// try one fault, and then none.
func (f *faulty) try(t *testing.T, words string) {
	rule, err := fault.ParseRule(f.service + ":" + words)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cloud.Faults().Add(rule); err != nil {
		t.Fatal(err)
	}
	defer f.cloud.Faults().Clear()
	f.cloud.Faults().ResetCounters()
	s := f.sidecar(t)
	begin := len(s.log.String())
	defer func() { f.inspect(t, s, begin) }()
	request := f.request()
	if f.own {
		request.AccessToken = nil
	}
	f.expect(t, s, request, f.want[words])
	if f.cloud.Faults().Requests(f.service) == 0 {
		t.Errorf("nobody asked %s", f.service)
	}
	f.cloud.Faults().Clear()
	f.expect(t, s, request, served)
}

// expect a release to end with want, in time.
func (l *lab) expect(t *testing.T, s *sidecar, request api.ReleaseRequest, want api.Code) {
	t.Helper()
	begin := time.Now()
	text, err := s.client.Release(t.Context(), request)
	judgeAnswer(t, err, want, time.Since(begin))
	if err == nil {
		l.inspectKey(t, s, text)
	}
}

// judgeAnswer compares the end of a request with the row of the table that it
// should be.
func judgeAnswer(t *testing.T, err error, want api.Code, took time.Duration) {
	t.Helper()
	if took > requestTimeout+answerSlack {
		t.Errorf("answered after %v, the deadline is %v", took, requestTimeout)
	}
	if want == served {
		if err != nil {
			t.Errorf("got %v after %v, want success", err, took)
		}
		return
	}
	refused, ok := errors.AsType[*api.Error](err)
	if ok && want == late && (refused.Code == api.Timeout || refused.Code == api.Unavailable) {
		want = refused.Code
	}
	switch {
	case !ok:
		t.Errorf("got %v after %v, want code %q", err, took, want)
	case refused.Code != want:
		t.Errorf("got code %q (%s) after %v, want %q", refused.Code, refused.Message, took, want)
	case refused.Status != want.HTTPStatus() || refused.RequestID == "" || refused.Message == "":
		t.Errorf("the answer is not a row of the table: %+v", refused)
	case want == api.Throttled && refused.RetryAfter < time.Second:
		t.Errorf("throttled without a Retry-After: %v", refused.RetryAfter)
	case strings.Contains(refused.Message, "eyJ") || longRun.MatchString(refused.Message):
		t.Errorf("the answer holds what may be a secret: %s", refused.Message)
	}
}

// inspect finds in the log behind an offset what must not be there, and whether
// skr still lives.
func (l *lab) inspect(t *testing.T, s *sidecar, from int) {
	t.Helper()
	listening(t, s)
	log := s.log.String()[from:]
	for _, sign := range []string{"panic", `"level":"ERROR"`, "goroutine ", `"code":"internal"`} {
		if strings.Contains(log, sign) {
			t.Errorf("the log tells of a bug: it holds %q", sign)
		}
	}
	if found := leaked(log, l.access); found != "" {
		t.Errorf("the log holds the access token: %q", found)
	}
	for _, shape := range []*regexp.Regexp{compactToken, longRun} {
		if found := shape.FindString(log); found != "" {
			t.Errorf("the log holds what may be a token or evidence: %.300q", found)
		}
	}
}

// compactToken is the form of attestation and access tokens (RFC 7515 section
// 7.1); longRun is more than a chip id in hex, and less than any evidence.
var (
	compactToken = regexp.MustCompile(`eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}`)
	longRun      = regexp.MustCompile(`[0-9A-Za-z+/_-]{200,}`)
)

// inspectKey looks for the members of a released key that are secret.
func (l *lab) inspectKey(t *testing.T, s *sidecar, text []byte) {
	t.Helper()
	key, err := jwk.Parse(text)
	if err != nil {
		t.Fatalf("the released key: %v", err)
	}
	log := s.log.String()
	for name, member := range map[string]string{"d": key.D, "p": key.P, "q": key.Q, "dp": key.DP, "dq": key.DQ, "qi": key.QI} {
		raw, err := base64.RawURLEncoding.DecodeString(member)
		if err != nil || len(raw) == 0 {
			t.Fatalf("member %s of the released key: %v", name, err)
		}
		if leaked(log, member) != "" || leaked(log, string(raw)) != "" {
			t.Errorf("the log holds member %s of the released key", name)
		}
	}
}

// leaked finds a part of secret in text: as it is, in hex, and in base64 at any
// offset.
func leaked(text, secret string) string {
	const window = 40
	forms := []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret)))}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for offset := range min(3, len(secret)) {
			forms = append(forms, encoding.EncodeToString([]byte(secret[offset:])))
		}
	}
	for _, form := range forms {
		for at := 0; at+window <= len(form); at += window / 2 {
			if part := form[at : at+window]; strings.Contains(text, part) {
				return part
			}
		}
	}
	return ""
}

// TestLeaked: the search itself can fail.
func TestLeaked(t *testing.T) {
	secret := strings.Repeat("a secret that is long enough; ", 4)
	for _, text := range []string{
		secret[20:80], hex.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte("xy" + secret)),
	} {
		if leaked("before "+text+" after", secret) == "" {
			t.Errorf("the secret in %q is not found", text)
		}
	}
	if leaked("harmless", secret) != "" || !compactToken.MatchString("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2lnbmF0dXJl") {
		t.Error("the search is wrong")
	}
}

// reportCases spoil what the firmware says.
var reportCases = []struct {
	name   string
	change func(*snptest.Options)
	want   api.Code
}{
	{"signature bit", func(o *snptest.Options) { o.MutateSigned = flip(0x2A0 + 3) }, api.NoEndorsements},
	{"signature zero", func(o *snptest.Options) { o.MutateSigned = func(raw []byte) { clear(raw[0x2A0:]) } }, api.NoEndorsements},
	{"signed bit: GUEST_SVN", func(o *snptest.Options) { o.MutateSigned = flip(0x04) }, api.NoEndorsements},
	{"signed bit: HOST_DATA", func(o *snptest.Options) { o.MutateSigned = flip(0xC0) }, api.NoEndorsements},
	{"signed bit: REPORTED_TCB", func(o *snptest.Options) { o.MutateSigned = flip(0x180) }, api.NoEndorsements},
	{"signed bit: CHIP_ID", func(o *snptest.Options) { o.MutateSigned = flip(0x1A0) }, api.NoEndorsements},
	{"signed bit: REPORT_DATA", func(o *snptest.Options) { o.MutateSigned = flip(0x50) }, api.NoEvidence},
	{"signed bit: MEASUREMENT", func(o *snptest.Options) { o.MutateSigned = flip(0x90) }, api.NoEvidence},
	{"other REPORT_DATA", func(o *snptest.Options) { o.ReportData = &snp.ReportData{1} }, api.NoEvidence},
	{"other measurement", func(o *snptest.Options) { o.Measurement = snp.Measurement{1} }, api.NoEvidence},
	{"version 1", func(o *snptest.Options) { o.Version = 1 }, api.NoEvidence},
	{"version 4294967295", func(o *snptest.Options) { o.Version = 0xFFFFFFFF }, api.NoEvidence},
	{"reserved bytes", func(o *snptest.Options) { o.Mutate = func(raw []byte) { raw[0x4C] = 1 } }, api.NoEvidence},
	{"all ones", func(o *snptest.Options) { o.MutateSigned = func(raw []byte) { fill(raw, 0xFF) } }, api.NoEvidence},
	{"all zero", func(o *snptest.Options) { o.MutateSigned = func(raw []byte) { clear(raw) } }, api.NoEvidence},
	{"masked key", func(o *snptest.Options) { o.MaskChipKey = true }, api.NoEndorsements},
	{"unsigned", func(o *snptest.Options) { o.SigningKey = snp.Unsigned }, api.NoEndorsements},
	{"reserved signing key", func(o *snptest.Options) { o.MutateSigned = func(raw []byte) { raw[0x48] = 5 << 2 } }, api.NoEvidence},
	{"VLEK without its certificate", func(o *snptest.Options) { o.SigningKey = snp.VLEK }, api.NoEndorsements},
	{"masked CHIP_ID", func(o *snptest.Options) { o.ChipID = new(snp.ChipID) }, api.NoEndorsements},
	{"other CHIP_ID", func(o *snptest.Options) { o.ChipID = &snp.ChipID{1} }, api.NoEndorsements},
	{"other product", func(o *snptest.Options) { o.CPUID = &snp.CPUID{Family: 0x19, Model: 0x11, Stepping: 1} }, api.NoEndorsements},
	{"debug", func(o *snptest.Options) { o.Policy = 0x3001f | 1<<19 }, api.ReleaseRejected},
	{"other HOST_DATA", func(o *snptest.Options) { o.HostData = snp.HostData{1} }, api.ReleaseRejected},
	{"VMPL 3", func(o *snptest.Options) { o.VMPL = 3 }, served}, // who may ask at which VMPL is for the policy
}

func flip(offset int) func([]byte) { return func(raw []byte) { raw[offset] ^= 1 } }

func fill(raw []byte, b byte) {
	for i := range raw {
		raw[i] = b
	}
}

// TestReportArtefacts: evidence that is not so never leads to a key.
func TestReportArtefacts(t *testing.T) {
	lab := newLab(t, emulator.Config{})
	s := lab.sidecar(t).ready(t)
	var original snptest.Options
	lab.cloud.Machine().Update(func(o *snptest.Options) { original = *o })
	for _, c := range reportCases {
		t.Run(c.name, func(t *testing.T) {
			lab.cloud.Machine().Update(c.change)
			lab.expect(t, s, lab.request(), c.want)
			lab.cloud.Machine().Update(func(o *snptest.Options) { *o = original })
			lab.expect(t, s, lab.request(), served)
		})
	}
}

// stub is a server of ours in the place of an Azure service. It speaks HTTP/1.1.
type stub struct {
	port    string
	answers sync.Map // of http.HandlerFunc, by host
}

// newStub answers over TLS with names of the cloud's CA, or, for nil, in plain.
func newStub(t *testing.T, cloud *emulator.Cloud) *stub {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := new(stub)
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	if cloud != nil {
		every := func(string) bool { return true }
		listener = tls.NewListener(listener, &tls.Config{GetCertificate: cloud.Authority().GetCertificate(every), MinVersion: tls.VersionTLS12})
	}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer, ok := s.answers.Load(r.Host); ok {
		answer.(http.HandlerFunc)(w, r)
	}
}

// say what a host answers from now on.
func (s *stub) say(host string, answer http.HandlerFunc) { s.answers.Store(host, answer) }

// text answers with a status and a body.
func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// bytesOnWire answers with exactly these, and then keeps the connection open
// until the client is gone.
func bytesOnWire(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, raw)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.Copy(io.Discard, conn)
	}
}

// flood writes the same for as long as anybody reads.
func flood(head, again string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, head)
		for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); {
			_, err = io.WriteString(conn, again)
		}
	}
}

// echo repeats what was sent, as debugging proxies and some services do.
func echo(status int, form string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent := r.Header.Get("Authorization") + " " + string(body)
		quoted, _ := json.Marshal(sent)
		w.Header().Set("Location", "https://evil.example/?"+r.Header.Get("Authorization"))
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description=`+string(quoted[:min(len(quoted), 4000)]))
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, form, quoted)
	}
}

const azureError = `{"error":{"code":"BadParameter","message":%[1]s,"innererror":{"code":%[1]s}}}`

// hostileHTTP are answers that no service gives, and what they lead to. refused
// stands for what the service's own 4xx means.
const refused api.Code = "refused"

var hostileHTTP = []struct {
	name   string
	answer http.HandlerFunc
	want   api.Code
}{
	{"echo 400", echo(400, azureError), refused},
	{"echo 401", echo(401, azureError), refused},
	{"echo 403", echo(403, azureError), refused},
	{"echo 500", echo(500, azureError), api.Unavailable},
	{"echo 429", echo(429, azureError), api.Throttled},
	{"echo 200", echo(200, azureError), api.UntrustedResponse},
	{"echo 302", echo(302, azureError), api.UntrustedResponse},
	{"echo 200 as value", echo(200, `{"value":%[1]s,"token":%[1]s}`), api.UntrustedResponse},
	{"echo 200 as page", echo(200, `<html>%s`), api.UntrustedResponse},
	{"empty object", text(200, `{}`), api.UntrustedResponse},
	{"null", text(200, `{"value":null,"token":null}`), api.UntrustedResponse},
	{"number", text(200, `{"value":1,"token":1}`), api.UntrustedResponse},
	{"empty text", text(200, `{"value":"","token":""}`), api.UntrustedResponse},
	{"three parts", text(200, `{"value":"a.b.c","token":"a.b.c"}`), api.UntrustedResponse},
	{"a million dots", text(200, `{"value":"`+strings.Repeat(".", 900_000)+`","token":"`+strings.Repeat(".", 60_000)+`"}`), api.UntrustedResponse},
	{"deep", text(200, strings.Repeat(`[`, 900_000)), api.UntrustedResponse},
	{"deep value", text(200, `{"value":`+strings.Repeat(`[`, 400_000)+strings.Repeat(`]`, 400_000)+`}`), api.UntrustedResponse},
	{"gzip", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0})
	}, api.UntrustedResponse},
	{"claims challenge", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.localhost/common/oauth2/authorize", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="`)
		w.WriteHeader(http.StatusUnauthorized)
	}, refused},
	{"challenge without a path", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://evil.example", resource="https://evil.example"`)
		w.WriteHeader(http.StatusUnauthorized)
	}, refused},
	{"not HTTP", bytesOnWire("SSH-2.0-OpenSSH_9.6\r\n"), api.Unavailable},
	{"101", bytesOnWire("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), api.UntrustedResponse},
	{"503 without its body", bytesOnWire("HTTP/1.1 503 Unavailable\r\nContent-Length: 9\r\n\r\n"), api.Unavailable},
	{"429 without its body", bytesOnWire("HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 9\r\n\r\n"), api.Throttled},
	{"302 without its body", bytesOnWire("HTTP/1.1 302 Found\r\nContent-Length: 9\r\n\r\n"), api.UntrustedResponse},
	{"200 without its body", bytesOnWire("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), late},
	{"negative length", bytesOnWire("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}"), api.Unavailable},
	{"endless header", flood("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("a", 1000)+"\r\n"), api.Unavailable},
	{"endless 103", flood("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), api.Unavailable},
	{"endless body", flood("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat(" ", 1<<16)), api.UntrustedResponse},
	{"endless body of an error", flood("HTTP/1.1 503 Unavailable\r\n\r\n", strings.Repeat(" ", 1<<16)), api.Unavailable},
	{"retry after a century", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "99999999999999999999")
		w.Header().Set("X-Ms-Retry-After-Ms", "9223372036854775807")
		w.WriteHeader(http.StatusTooManyRequests)
	}, api.Throttled},
}

// TestHostileServers puts a stranger with a good TLS name in a service's place.
// Whatever it says, skr says who refused, tells no secret, and the next call,
// to the true service, succeeds.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	var sum tally
	var running sync.WaitGroup
	for name, try := range map[string]func(*stranger, *testing.T, http.HandlerFunc, api.Code){
		"maa": (*stranger).asAuthority, "keys": (*stranger).asKeys, "vault": (*stranger).asVault,
	} {
		running.Go(func() {
			t.Run(name, func(t *testing.T) {
				who := newStranger(t)
				places := make(chan struct{}, 4)
				var waiting sync.WaitGroup
				for _, c := range hostileHTTP {
					if strings.HasPrefix(c.name, "echo") { // one by one, so that the log tells which
						sum.run(t, c.name, func(t *testing.T) {
							begin := len(who.sidecar.log.String())
							try(who, t, c.answer, c.want)
							who.inspect(t, who.sidecar, begin)
						})
						continue
					}
					waiting.Go(func() {
						places <- struct{}{}
						defer func() { <-places }()
						sum.run(t, c.name, func(t *testing.T) { try(who, t, c.answer, c.want) })
					})
				}
				waiting.Wait()
			})
		})
	}
	running.Wait()
	sum.log(t, "hostile answers")
}

// stranger is a server of ours that a sidecar may ask beside its cloud.
type stranger struct {
	*lab
	*stub
	sidecar *sidecar
	cases   atomic.Int64
}

func newStranger(t *testing.T) *stranger {
	who := &stranger{lab: newLab(t, emulator.Config{})}
	who.stub = newStub(t, who.cloud)
	own := environmentOf(who.cloud)
	// Each case has a host of its own, so what is kept of the true ones hides nothing.
	who.sidecar = who.lab.sidecar(t, "SKR_ATTESTATION_MAX_AGE=1h",
		"SKR_MAA_ALLOW=*.attest.localhost:"+who.port+","+own["SKR_MAA_ALLOW"],
		"SKR_VAULT_ALLOW=*.vault.localhost:"+who.port+","+own["SKR_VAULT_ALLOW"])
	return who
}

// host that was never asked before, so that nothing of it is kept.
func (w *stranger) host(domain string) string {
	return fmt.Sprintf("case%d.%s.localhost:%s", w.cases.Add(1), domain, w.port)
}

func (w *stranger) asAuthority(t *testing.T, answer http.HandlerFunc, want api.Code) {
	if want == refused {
		want = api.AttestationRejected
	}
	request := w.request()
	request.MAAEndpoint = w.host("attest")
	w.say(request.MAAEndpoint, answer)
	w.expect(t, w.sidecar, request, want)
	w.expect(t, w.sidecar, w.request(), served)
}

// asKeys gives a token that may be good and keys that are not. The answers
// that follow name no key of the token's signature, and come at once.
func (w *stranger) asKeys(t *testing.T, answer http.HandlerFunc, want api.Code) {
	if want == refused {
		want = api.UntrustedResponse
	}
	request := w.request()
	request.MAAEndpoint = w.host("attest")
	w.say(request.MAAEndpoint, attesting(answer))
	w.expect(t, w.sidecar, request, want)
	w.say(request.MAAEndpoint, attesting(text(200, `{"jwks_uri":"https://`+request.MAAEndpoint+`/certs","keys":[]}`)))
	w.expect(t, w.sidecar, request, api.UntrustedResponse)
}

// attesting answers to evidence with a token, and to questions for keys else.
func attesting(keys http.HandlerFunc) http.HandlerFunc {
	token := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"k"}`)) + ".e30.AAAA"
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			text(200, `{"token":"`+token+`"}`)(w, r)
			return
		}
		keys(w, r)
	}
}

func (w *stranger) asVault(t *testing.T, answer http.HandlerFunc, want api.Code) {
	if want == refused {
		want = api.ReleaseRejected
	}
	request := w.request()
	request.AKVEndpoint = w.host("vault")
	w.say(request.AKVEndpoint, answer)
	w.expect(t, w.sidecar, request, want)
	w.expect(t, w.sidecar, w.request(), served)
}

// TestHostileKeySets: an authority vouches for its own keys, and only for those
// that can sign.
func TestHostileKeySets(t *testing.T) {
	who := newStranger(t)
	modulus := strings.Repeat("_", 342) // 2048 bits
	for label, c := range map[string]struct{ discovery, keys string }{
		"other host":     {`{"jwks_uri":"https://` + who.cloud.AttestationHost() + `/certs"}`, ``},
		"plain":          {`{"jwks_uri":"http://%s/certs"}`, ``},
		"user":           {`{"jwks_uri":"https://a@%s/certs"}`, ``},
		"duplicate":      {`{"jwks_uri":"https://%[1]s/certs","jwks_uri":"https://%[1]s/certs"}`, ``},
		"no keys":        {``, `{}`},
		"null keys":      {``, `{"keys":null}`},
		"null key":       {``, `{"keys":[null]}`},
		"no modulus":     {``, `{"keys":[{"kid":"k","kty":"RSA"}]}`},
		"exponent 1":     {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + modulus + `","e":"AQ"}]}`},
		"even exponent":  {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + modulus + `","e":"Ag"}]}`},
		"huge modulus":   {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + strings.Repeat("_", 800_000) + `","e":"AQAB"}]}`},
		"small modulus":  {``, `{"keys":[{"kid":"k","kty":"RSA","n":"____","e":"AQAB"}]}`},
		"huge exponent":  {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + modulus + `","e":"` + modulus + `"}]}`},
		"symmetric":      {``, `{"keys":[{"kid":"k","kty":"oct","k":"AAAA"}]}`},
		"bad x5c":        {``, `{"keys":[{"kid":"k","kty":"RSA","x5c":["AAAA"]}]}`},
		"many keys":      {``, `{"keys":[` + strings.Repeat(`{"kid":"x"},`, 70_000) + `{"kid":"k"}]}`},
		"encryption key": {``, `{"keys":[{"kid":"k","kty":"RSA","use":"enc","n":"` + modulus + `","e":"AQAB"}]}`},
		"another's key":  {``, `{"keys":[{"kid":"k","kty":"RSA","n":"` + modulus + `","e":"AQAB"}]}`},
	} {
		t.Run(label, func(t *testing.T) {
			request := who.request()
			request.MAAEndpoint = who.host("attest")
			var keys atomic.Int64
			who.say(request.MAAEndpoint, attesting(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/.well-known/") {
					form := cmp.Or(c.discovery, `{"jwks_uri":"https://%s/certs"}`)
					text(200, strings.NewReplacer("%s", request.MAAEndpoint, "%[1]s", request.MAAEndpoint).Replace(form))(w, r)
					return
				}
				keys.Add(1)
				text(200, c.keys)(w, r)
			}))
			who.expect(t, who.sidecar, request, api.UntrustedResponse)
			if asked := keys.Load() > 0; asked != (c.keys != "") {
				t.Errorf("the keys were asked for: %v", asked)
			}
		})
	}
	who.expect(t, who.sidecar, who.request(), served)
}

// TestDeepAnswers: a small body must not become a large one on its way into an
// error text: indented, this one has hundreds of megabytes.
func TestDeepAnswers(t *testing.T) {
	const depth, most = 9_000, 200 << 20
	deep := `{"error":` + strings.Repeat(`{"innererror":`, depth) + `1` + strings.Repeat(`}`, depth) + `}`
	who := newStranger(t)
	metadata := newStub(t, nil)
	metadataHost := "127.0.0.1:" + metadata.port
	login := "login.localhost:" + who.port
	for _, status := range []int{200, 400, 401} {
		for name, c := range map[string]struct {
			env    []string
			change func(*api.ReleaseRequest)
		}{
			"vault": {change: func(r *api.ReleaseRequest) { r.AKVEndpoint = "deep.vault.localhost:" + who.port }},
			"maa":   {change: func(r *api.ReleaseRequest) { r.MAAEndpoint = "deep.attest.localhost:" + who.port }},
			"imds":  {[]string{"SKR_IMDS_URL=http://" + metadataHost}, func(r *api.ReleaseRequest) { r.AccessToken = nil }},
			"entra": {append(workloadIdentity(t, who.cloud), "AZURE_AUTHORITY_HOST=https://"+login+"/"), func(r *api.ReleaseRequest) { r.AccessToken = nil }},
		} {
			t.Run(fmt.Sprintf("%s %d", name, status), func(t *testing.T) {
				metadata.say(metadataHost, text(status, deep))
				for _, host := range []string{"deep.vault.localhost:" + who.port, "deep.attest.localhost:" + who.port} {
					who.say(host, text(status, deep))
				}
				who.say(login, loginThat(login, text(status, deep)))
				s := who.lab.sidecar(t, append(c.env, "SKR_MAA_ALLOW=*.attest.localhost:"+who.port+","+environmentOf(who.cloud)["SKR_MAA_ALLOW"],
					"SKR_VAULT_ALLOW=*.vault.localhost:"+who.port+","+environmentOf(who.cloud)["SKR_VAULT_ALLOW"])...)
				request := who.request()
				c.change(&request)
				begin := time.Now()
				_, err := s.client.Release(t.Context(), request)
				refused, ok := errors.AsType[*api.Error](err)
				if !ok || refused.Code == api.Internal {
					t.Errorf("got %v", err)
				}
				judgeAnswer(t, err, refused.Code, time.Since(begin))
				if peak := peakBytes(t, s); peak > most {
					t.Errorf("%d MB of memory for an answer of %d kB", peak>>20, len(deep)>>10)
				}
			})
		}
	}
}

// peakBytes is the most memory that a sidecar ever had.
func peakBytes(t *testing.T, s *sidecar) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		t.Skipf("this system does not tell a process's memory: %v", err)
	}
	var kilobytes int
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes)
	}
	return kilobytes << 10
}

// loginThat publishes its endpoints, and answers to assertions.
func loginThat(host string, answer http.HandlerFunc) http.HandlerFunc {
	login := "https://" + host
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			text(200, `{"token_endpoint":"`+login+`/t/oauth2/v2.0/token","authorization_endpoint":"`+login+`/t/authorize","issuer":"`+login+`/t/v2.0"}`)(w, r)
			return
		}
		answer(w, r)
	}
}

// TestHostileLogin: the client assertion is a secret, too.
func TestHostileLogin(t *testing.T) {
	lab := newLab(t, emulator.Config{})
	identity := workloadIdentity(t, lab.cloud)
	for name, c := range map[string]struct {
		status int
		form   string
		want   api.Code
	}{
		"error":       {400, `{"error":"invalid_client","error_description":%s}`, api.ReleaseRejected},
		"page":        {401, `<html>%s`, api.ReleaseRejected},
		"200 page":    {200, `<html>%s`, api.UntrustedResponse},
		"200 error":   {200, `{"error":"invalid_client","error_description":%s}`, api.UntrustedResponse},
		"echoed type": {200, `{"access_token":"","token_type":%s}`, api.UntrustedResponse},
	} {
		t.Run(name, func(t *testing.T) {
			stranger := newStub(t, lab.cloud)
			login := "login.localhost:" + stranger.port
			stranger.say(login, loginThat(login, echo(c.status, c.form)))
			s := lab.sidecar(t, append(slices.Clone(identity), "AZURE_AUTHORITY_HOST=https://"+login+"/")...)
			request := lab.request()
			request.AccessToken = nil
			lab.expect(t, s, request, c.want)
			lab.expect(t, s, lab.request(), served) // with the caller's own token
		})
	}
}

// TestHostileReportSocket: the peer at the report socket needs no trust.
func TestHostileReportSocket(t *testing.T) {
	lab := newLab(t, emulator.Config{})
	path := filepath.Join(filepath.Dir(lab.cloud.Machine().Socket()), "hostile.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var answer atomic.Pointer[http.HandlerFunc]
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	raw, err := lab.cloud.Chip().Report(snp.ReportData{}, snptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var good http.HandlerFunc = lab.cloud.Chip().ReportHandler(func() snptest.Options {
		return snptest.Options{HostData: lab.cloud.Machine().HostData()}
	}).ServeHTTP
	answer.Store(&good)
	s := lab.sidecar(t, "SKR_REPORT_SOURCE=unix:"+path)
	data := []byte("{}")
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   api.Code
	}{
		{"replay", text(200, `{"report":"`+hex.EncodeToString(raw)+`"}`), api.NoEvidence},
		{"short", text(200, `{"report":"00"}`), api.NoEvidence},
		{"long", text(200, `{"report":"`+strings.Repeat("00", 1185)+`"}`), api.NoEvidence},
		{"not hex", text(200, `{"report":"`+strings.Repeat("zz", 1184)+`"}`), api.NoEvidence},
		{"two reports", text(200, `{"report":"`+hex.EncodeToString(raw)+`","report":"00"}`), api.NoEvidence},
		{"null", text(200, `null`), api.NoEvidence},
		{"array", text(200, `[]`), api.NoEvidence},
		{"error that holds a report", text(500, `{"error":"`+hex.EncodeToString(raw)+`"}`), api.NoEvidence},
		{"page that holds a report", text(500, hex.EncodeToString(raw)), api.NoEvidence},
		{"error with line breaks", text(500, `{"error":"a\r\nb\u0000\u001b[31m"}`), api.NoEvidence},
		{"not HTTP", bytesOnWire("SSH-2.0-OpenSSH_9.6\r\n"), api.NoEvidence},
		{"101", bytesOnWire("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), api.NoEvidence},
		{"endless header", flood("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("a", 1000)+"\r\n"), api.NoEvidence},
		{"endless body", flood("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat(" ", 1<<16)), api.NoEvidence},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer.Store(&c.answer)
			ctx, cancel := context.WithTimeout(t.Context(), requestTimeout+answerSlack)
			defer cancel()
			begin := time.Now()
			_, err := s.client.Report(ctx, data)
			judgeAnswer(t, err, c.want, time.Since(begin))
			lab.expect(t, s, lab.request(), c.want)
			answer.Store(&good)
			lab.expect(t, s, lab.request(), served)
		})
	}
}

// TestCertificates: what a certificate service says counts only once it has
// verified. Each case begins with a firmware update, so that nothing is cached.
func TestCertificates(t *testing.T) {
	lab := newLab(t, emulator.Config{})
	service := newStub(t, nil)
	host := "127.0.0.1:" + service.port
	service.say(host, text(404, ""))
	s := lab.sidecar(t, "SKR_CERTIFICATE_SOURCES=thim", "SKR_THIM_URL=http://"+host+"/thim?api-version=1")
	chip, vendor := lab.cloud.Chip(), lab.cloud.Vendor()
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	stranger, err := snptest.NewVendor(snp.Milan, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	strangersChip := must(stranger.NewChip())
	own := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	lying := func(lies snptest.Lies) []byte { return must(chip.LyingVCEK(chip.TCB(), lies)) }
	issuers := func() string { return string(vendor.ChainPEM()) }
	tcbm := func() string { return strings.ToUpper(chip.TCB().Hex()) }
	cases := []struct {
		name string
		body func() []byte
	}{
		{"expired", func() []byte {
			return thim(lying(snptest.Lies{NotBefore: past.AddDate(-1, 0, 0), NotAfter: past}), tcbm(), issuers())
		}},
		{"not yet valid", func() []byte { return thim(lying(snptest.Lies{NotBefore: future}), tcbm(), issuers()) }},
		{"other chip's name", func() []byte { return thim(lying(snptest.Lies{HWID: make([]byte, 64)}), tcbm(), issuers()) }},
		{"other key", func() []byte { return thim(lying(snptest.Lies{Key: &own.PublicKey}), tcbm(), issuers()) }},
		{"other product", func() []byte { return thim(lying(snptest.Lies{ProductName: "Genoa"}), tcbm(), issuers()) }},
		{"certificate authority", func() []byte {
			return thim(lying(snptest.Lies{Template: func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }}), tcbm(), issuers())
		}},
		{"no extensions", func() []byte {
			return thim(lying(snptest.Lies{Template: func(c *x509.Certificate) { c.ExtraExtensions = nil }}), tcbm(), issuers())
		}},
		{"stale TCB", func() []byte {
			older := chip.TCB().Components()
			older.SNP--
			return must(chip.THIMDocument(older.TCB(snp.Milan)))
		}},
		{"TCB of the certificate is a lie", func() []byte {
			higher := chip.TCB().Components()
			higher.SNP++
			return thim(lying(snptest.Lies{TCB: &higher}), tcbm(), issuers())
		}},
		{"another chip's chain", func() []byte { return must(must(vendor.NewChip()).THIMDocument(chip.TCB())) }},
		{"another vendor's chain", func() []byte { return must(strangersChip.THIMDocument(chip.TCB())) }},
		{"another vendor's issuers", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), string(stranger.ChainPEM())) }},
		{"another vendor's leaf", func() []byte { return thim(must(strangersChip.VCEK(chip.TCB())), tcbm(), issuers()) }},
		{"VLEK issuers", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), string(must(vendor.VLEKChainPEM()))) }},
		{"issuers in reverse", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), reversed(issuers())) }},
		{"no intermediate", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), string(vendor.RootsPEM())) }},
		{"one issuer more", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), issuers()+string(vendor.RootsPEM())) }},
		{"text between", func() []byte { return thim(must(chip.VCEK(chip.TCB())), tcbm(), "hello\n"+issuers()) }},
		{"no tcbm", func() []byte { return thim(must(chip.VCEK(chip.TCB())), "", issuers()) }},
		{"other tcbm", func() []byte { return thim(must(chip.VCEK(chip.TCB())), strings.Repeat("0", 16), issuers()) }},
		{"two leafs", func() []byte {
			return thim(append(must(chip.VCEK(chip.TCB())), must(chip.VCEK(chip.TCB()))...), tcbm(), issuers())
		}},
		{"duplicate member", func() []byte {
			return append([]byte(`{"tcbm":"`+tcbm()+`",`), must(chip.THIMDocument(chip.TCB()))[1:]...)
		}},
		{"report as a certificate", func() []byte {
			return thim(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: make([]byte, 1184)}), tcbm(), issuers())
		}},
		{"a thousand certificates", func() []byte {
			return thim([]byte(strings.Repeat(string(must(chip.VCEK(chip.TCB()))), 300)), tcbm(), issuers())
		}},
		{"PEM instead of JSON", func() []byte { return must(chip.ChainPEM(chip.TCB())) }},
		{"empty", func() []byte { return nil }},
	}
	microcode := uint8(100)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			microcode++
			levels := chip.TCB().Components()
			levels.Microcode = microcode
			chip.SetTCB(levels)
			service.say(host, text(200, string(c.body())))
			lab.expect(t, s, lab.request(), api.NoEndorsements)
			service.say(host, text(200, string(must(chip.THIMDocument(chip.TCB())))))
			lab.expect(t, s, lab.request(), served)
		})
	}
	eventually(t, "skr is ready", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		return s.client.WaitReady(ctx) == nil
	})
}

// thim is a document of the certificate service.
func thim(leaf []byte, tcbm, issuers string) []byte {
	return must(json.Marshal(map[string]string{"vcekCert": string(leaf), "tcbm": tcbm, "certificateChain": issuers, "cacheControl": "86400"}))
}

func reversed(chain string) string {
	first, rest := pem.Decode([]byte(chain))
	return string(rest) + string(pem.EncodeToMemory(first))
}

// must is for what cannot fail in a test's own preparations.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
