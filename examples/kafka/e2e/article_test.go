package e2e

import (
	"encoding/base64"
	"os/exec"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"skr/test/tool"
)

const (
	welcome = "Welcome to Confidential Containers on AKS!"
	heading = "Encrypted Kafka Message:"
	first   = "Msg 1: Azure Confidential Computing"
	second  = "Msg 2: Azure Confidential Computing"
)

func asItIs(*corev1.Pod) {}

// TestArticle follows the article to its last step: the page shows the
// messages, new ones arrive without a reload, and another Kafka client reads
// the same topic.
func TestArticle(t *testing.T) {
	s := setUp(t, "")
	s.playProducer(t)
	s.playConsumer(t, asItIs)
	page := browse(t, "http://"+s.page)
	page.reads(t, welcome, heading, first, second, "Decryption is active", "Live", "partition 0", "partition 1", "partition 2")
	loaded := evaluate[int](t, page, `document.querySelectorAll("#entries > li").length`)
	s.kcatReads(t)
	s.kcatWrites(t, `<b id="injected">hello from kcat</b>`)
	page.reads(t, "This message cannot be decrypted: it is not standard base64.", "hello from kcat")
	if evaluate[bool](t, page, `document.getElementById("injected") !== null`) {
		t.Error("a message became part of the page")
	}
	if now := evaluate[int](t, page, `document.querySelectorAll("#entries > li").length`); now <= loaded {
		t.Errorf("%d messages became %d", loaded, now)
	}
	page.photograph(t)
}

// kcatReads checks that what librdkafka reads has the form of a message.
func (s *stage) kcatReads(t *testing.T) {
	t.Helper()
	tool.Need(t, "kcat", "kcat")
	out, err := exec.CommandContext(t.Context(), "kcat", "-b", s.broker, "-C", "-t", topic, "-o", "beginning", "-c", "2", "-q").Output()
	if err != nil {
		t.Fatalf("kcat: %v", err)
	}
	lines := strings.Fields(string(out))
	if len(lines) != 2 {
		t.Fatalf("kcat reads %q", out)
	}
	for _, line := range lines {
		if sealed, err := base64.StdEncoding.DecodeString(line); err != nil || len(sealed) != 3072/8 {
			t.Errorf("kcat reads %d bytes, %v", len(sealed), err)
		}
	}
}

func (s *stage) kcatWrites(t *testing.T, text string) {
	t.Helper()
	kcat := exec.CommandContext(t.Context(), "kcat", "-b", s.broker, "-P", "-t", topic, "-p", "1")
	kcat.Stdin = strings.NewReader(text + "\n")
	if out, err := kcat.CombinedOutput(); err != nil {
		t.Fatalf("kcat: %v\n%s", err, out)
	}
}

// TestWithoutSidecar does the article's last experiment: without skr and the
// runtime class the page shows ciphertext and the reason.
func TestWithoutSidecar(t *testing.T) {
	s := setUp(t, "")
	s.playProducer(t)
	s.playConsumer(t, func(pod *corev1.Pod) { pod.Spec.Containers = pod.Spec.Containers[1:] })
	page := browse(t, "http://"+s.page)
	page.reads(t, welcome, heading, "Decryption is not active", "No sidecar answers at http://localhost:"+s.sidecar, "ciphertext")
	showsCiphertext(t, page)
	page.photograph(t)
}

// TestOtherMeasurement binds the key to another pod's policy: the vault
// refuses, and the page shows the refusing party, the unmet condition and the
// ciphertext.
func TestOtherMeasurement(t *testing.T) {
	s := setUp(t, strings.Repeat("0123456789abcdef", 4))
	s.playProducer(t)
	s.playConsumer(t, asItIs)
	page := browse(t, "http://"+s.page)
	page.reads(t, "Decryption is not active", "release_rejected", `x-ms-sevsnpvm-hostdata equals "0123456789abcdef`, "ciphertext")
	showsCiphertext(t, page)
	page.photograph(t)
}

func showsCiphertext(t *testing.T, page *browser) {
	t.Helper()
	texts := evaluate[[]string](t, page, `[...document.querySelectorAll("#entries .text")].map((p) => p.textContent)`)
	if len(texts) == 0 || slices.ContainsFunc(texts, func(text string) bool {
		sealed, err := base64.StdEncoding.DecodeString(text)
		return err != nil || len(sealed) != 3072/8
	}) {
		t.Errorf("the page shows %q", texts)
	}
}

// TestFailsFast checks that a pod with wrong variables ends at once, with one
// line for each.
func TestFailsFast(t *testing.T) {
	e := startEngine(t)
	_, err := e.run(t.Context(), "podman", "run", "--rm", "--network", "none", "--env", "TOPIC=a topic", demoImage, "/consume")
	if err == nil || !strings.Contains(err.Error(), "exit status 2") {
		t.Fatalf("the pod ended with %v", err)
	}
	for _, line := range []string{"\nSkrClientKID: is not set", "\nSkrClientMAAEndpoint: is not set",
		"\nSkrClientAKVEndpoint: is not set", "\nTOPIC: \"a topic\" is not a topic's name"} {
		if !strings.Contains(err.Error(), line) {
			t.Errorf("the output lacks %q:\n%v", line, err)
		}
	}
}
