package consumer_test

import (
	"bufio"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"skr/examples/kafka/consumer"
	"skr/examples/kafka/emulated"
	"skr/examples/kafka/environment"
	"skr/examples/kafka/message"
)

const (
	topic    = "kafka-demo-topic"
	patience = 60 * time.Second
	hostile  = `<img src=x onerror="alert(1)">`
)

var programs emulated.Programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "skr-")
	if err == nil {
		programs, err = emulated.Build(context.Background(), "../../..", dir)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// pod is a running consumer with its dependencies.
type pod struct {
	cloud   *emulated.Cloud
	public  *rsa.PublicKey
	kafka   *kgo.Client
	url     string // the page's URL
	sidecar string // an address with no listener yet
	log     *emulated.Output
	dir     string // of the key's files
}

// start starts everything except the sidecar. The key is for the pod or for
// another one, and is released to the consumer.
func start(t *testing.T, measurement string) *pod {
	t.Helper()
	return startWith(t, measurement, nil)
}

// startWith starts the consumer with more variables.
func startWith(t *testing.T, measurement string, more map[string]string) *pod {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pod{sidecar: freeAddress(t), log: new(emulated.Output)}
	page := freeAddress(t)
	p.url = "http://" + page + "/"
	p.startCloud(ctx, t, measurement)
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	if p.kafka, err = kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kafka.Close)
	set := map[string]string{
		"TOPIC": topic, "BROKERS": kafka.ListenAddrs()[0], "LISTEN": page, "SkrClientURL": "http://" + p.sidecar, "SkrClientKID": "demo",
		"SkrClientMAAEndpoint": p.cloud.Authority(), "SkrClientAKVEndpoint": p.cloud.Vault(),
	}
	maps.Copy(set, more)
	ended := make(chan error, 1)
	go func() {
		v := environment.New(func(name string) string { return set[name] })
		ended <- consumer.Run(ctx, v, slog.New(slog.NewJSONHandler(p.log, nil)))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the consumer ended with %v", err)
		}
	})
	return p
}

func (p *pod) startCloud(ctx context.Context, t *testing.T, measurement string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "skr-") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p.dir = dir
	if p.cloud, err = programs.Start(ctx, emulated.Pod{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.cloud.Stop)
	if measurement == "" {
		if measurement, err = p.cloud.Measurement(ctx); err != nil {
			t.Fatal(err)
		}
	}
	public, err := p.cloud.CreateKey(ctx, "demo", measurement)
	if err != nil {
		t.Fatal(err)
	}
	if p.public, err = message.ParsePublicKey(public); err != nil {
		t.Fatal(err)
	}
}

func (p *pod) startSidecar(t *testing.T, more ...string) (stop func()) {
	t.Helper()
	log := new(emulated.Output)
	stop, err := p.cloud.Sidecar(t.Context(), p.sidecar, log, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return stop
}

// send sends a value to a partition.
func (p *pod) send(t *testing.T, partition int32, value string) {
	t.Helper()
	record := &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)}
	if err := p.kafka.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// sendVersion sends a value with the version of its key.
func (p *pod) sendVersion(t *testing.T, value, version string) {
	t.Helper()
	record := &kgo.Record{Topic: topic, Value: []byte(value), Headers: []kgo.RecordHeader{{Key: message.VersionHeader, Value: []byte(version)}}}
	if err := p.kafka.ProduceSync(t.Context(), record).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func (p *pod) encrypt(t *testing.T, plain string) string {
	t.Helper()
	sealed, err := message.Encrypt(p.public, plain)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// shows waits until the page contains all texts.
func (p *pod) shows(t *testing.T, wanted ...string) string {
	t.Helper()
	var page string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // another process has its own clock
		page = get(p.url)
		if missing(page, wanted) == "" {
			return page
		}
	}
	t.Fatalf("the page does not show %q:\n%s\n%s", missing(page, wanted), page, p.log)
	return ""
}

func missing(page string, wanted []string) string {
	for _, text := range wanted {
		if !strings.Contains(page, text) {
			return text
		}
	}
	return ""
}

func get(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// TestSidecarAppears starts without a sidecar and then starts one: ciphertext
// becomes text in each partition, and one bad message is shown as bad.
func TestSidecarAppears(t *testing.T) {
	p := start(t, "")
	values := make([]string, 3)
	for i := range values {
		values[i] = p.encrypt(t, fmt.Sprintf("Msg %d: from partition %d", i+1, i))
		p.send(t, int32(i), values[i])
	}
	p.send(t, 1, "not encrypted at all")
	p.send(t, 1, p.encrypt(t, hostile))
	page := p.shows(t, append(escaped(values), "Decryption is not active", "no sidecar answers at http://"+p.sidecar, "not encrypted at all")...)
	if strings.Contains(page, "from partition") {
		t.Error("a message is decrypted without a key")
	}

	events := p.listen(t)
	p.startSidecar(t)
	page = p.shows(t, "Decryption is active", "Msg 1: from partition 0", "Msg 2: from partition 1", "Msg 3: from partition 2",
		"This message cannot be decrypted: <span>it is not standard base64</span>", "not encrypted at all",
		"&lt;img src=x onerror=&#34;alert(1)&#34;&gt;")
	if strings.Contains(page, hostile) {
		t.Error("the page does not escape")
	}
	p.send(t, 2, p.encrypt(t, "later"))
	for _, want := range []string{`"active":true`, "from partition 1", `"problem":"it is not standard base64"`, `\u003cimg`, `"text":"later"`} {
		awaitEvent(t, events, want)
	}
	p.nothingSecretIsLogged(t)
}

// TestRotated reads messages of two versions of the key: the record names the
// version. A version that does not exist leaves the other messages alone.
func TestRotated(t *testing.T) {
	p := start(t, "")
	dayOne := p.version(t)
	p.sendVersion(t, p.encrypt(t, "Msg 1: before the rotation"), dayOne)
	p.sendVersion(t, p.encrypt(t, "Msg 2: of no version"), strings.Repeat("0", 32))
	p.rotate(t)
	p.startSidecar(t)
	p.sendVersion(t, p.encrypt(t, "Msg 3: after it"), p.version(t))
	p.send(t, 0, p.encrypt(t, "Msg 4: without a version"))
	p.shows(t, "Decryption is active", "Msg 1: before the rotation", "Msg 3: after it", "Msg 4: without a version",
		"this pod has no key of version "+strings.Repeat("0", 32), "the vault has no key")
}

// version returns the newest version of the key, from its file.
func (p *pod) version(t *testing.T) string {
	t.Helper()
	info, err := os.ReadFile(filepath.Join(p.dir, "demo-info.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(info), "/keys/demo/")
	version, _, _ := strings.Cut(text, `"`)
	return version
}

// rotate adds a version to the key.
func (p *pod) rotate(t *testing.T) {
	t.Helper()
	if _, err := p.cloud.Run(t.Context(), p.dir, programs.Skrctl, "key", "rotate", "demo", "--vault", p.cloud.Vault(), "--replace"); err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(p.dir, "demo-pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if p.public, err = message.ParsePublicKey(string(public)); err != nil {
		t.Fatal(err)
	}
}

// escaped escapes base64 as html/template does: + becomes &#43;.
func escaped(values []string) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = strings.ReplaceAll(value, "+", "&#43;")
	}
	return all
}

func (p *pod) listen(t *testing.T) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	return lines
}

func awaitEvent(t *testing.T, events *bufio.Scanner, want string) {
	t.Helper()
	for events.Scan() {
		if strings.HasPrefix(events.Text(), "data: ") && strings.Contains(events.Text(), want) {
			return
		}
	}
	t.Fatalf("no event has %q: %v", want, events.Err())
}

func (p *pod) nothingSecretIsLogged(t *testing.T) {
	t.Helper()
	if !strings.Contains(p.log.String(), "the key was released") {
		t.Errorf("the log does not report the key: %s", p.log)
	}
	for _, secret := range []string{`"d"`, `\"d\"`, "from partition", "later"} {
		if strings.Contains(p.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// TestRefused uses a key of another workload: the page shows the ciphertext,
// the refusing party and the reason.
func TestRefused(t *testing.T) {
	p := start(t, strings.Repeat("ab", 32))
	p.startSidecar(t)
	value := p.encrypt(t, "Msg 1: not for this pod")
	p.send(t, 0, value)
	page := p.shows(t, escaped([]string{value})[0], "Decryption is not active", `<code id="code">release_rejected</code>`,
		"x-ms-sevsnpvm-hostdata equals", strings.Repeat("ab", 32), `<code id="request-id">`)
	if strings.Contains(page, "not for this pod") {
		t.Error("the message is decrypted nevertheless")
	}
}

func TestVariables(t *testing.T) {
	v := environment.New(func(string) string { return "" })
	err := consumer.Run(t.Context(), v, slog.New(slog.DiscardHandler))
	wrong, ok := errors.AsType[environment.Error](err)
	if !ok || len(wrong) != 4 {
		t.Fatalf("got %v", err)
	}
	for i, name := range []string{"SkrClientKID", "SkrClientMAAEndpoint", "SkrClientAKVEndpoint", "TOPIC"} {
		if !strings.HasPrefix(wrong[i], name+": is not set; use ") {
			t.Errorf("line %d is %q", i, wrong[i])
		}
	}
}

// TestNoBroker checks that the page works without a broker and says that the
// broker is unreachable.
func TestNoBroker(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := &pod{log: new(emulated.Output)}
	page := freeAddress(t)
	p.url = "http://" + page
	set := map[string]string{
		"TOPIC": topic, "BROKERS": freeAddress(t), "LISTEN": page, "SkrClientKID": "demo",
		"SkrClientMAAEndpoint": "a.example", "SkrClientAKVEndpoint": "v.example", "SkrClientURL": "http://" + freeAddress(t),
	}
	ended := make(chan error, 1)
	go func() {
		v := environment.New(func(name string) string { return set[name] })
		ended <- consumer.Run(ctx, v, slog.New(slog.NewJSONHandler(p.log, nil)))
	}()
	p.shows(t, "Kafka does not answer: <span", "connection refused", "No message has arrived")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the consumer ended with %v", err)
	}
}
