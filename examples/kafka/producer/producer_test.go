package producer_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"skr/examples/kafka/environment"
	"skr/examples/kafka/message"
	"skr/examples/kafka/producer"
)

func pair(t *testing.T, bits int) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func run(ctx context.Context, set map[string]string) error {
	v := environment.New(func(name string) string { return set[name] })
	return producer.Run(ctx, v, slog.New(slog.DiscardHandler))
}

// TestAllPartitions starts without the topic. After it is created, messages
// reach all of its partitions.
func TestAllPartitions(t *testing.T) {
	key, public := pair(t, 2048)
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	ended := make(chan error, 1)
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}()
	go func() {
		ended <- run(ctx, map[string]string{
			"TOPIC": "t", "MSG": "Azure Confidential Computing", "PUBKEY": public, "BROKERS": kafka.ListenAddrs()[0], "INTERVAL": "1ms",
			"PUBKEY_VERSION": "0123456789abcdef0123456789abcdef",
		})
	}()
	reader, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.ConsumeTopics("t"),
		kgo.MetadataMinAge(50*time.Millisecond), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	texts, partitions := map[string]bool{}, map[int32]bool{}
	for len(partitions) < 3 || !texts["Msg 1: Azure Confidential Computing"] || !texts["Msg 2: Azure Confidential Computing"] {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("only %v of %v arrived", texts, partitions)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			plain, err := message.Decrypt(key, string(r.Value))
			if err != nil {
				t.Error(err)
			}
			if len(r.Headers) != 1 || r.Headers[0].Key != message.VersionHeader || string(r.Headers[0].Value) != "0123456789abcdef0123456789abcdef" {
				t.Errorf("the record has the headers %v", r.Headers)
			}
			texts[plain], partitions[r.Partition] = true, true
		})
	}
}

func TestVariables(t *testing.T) {
	_, public := pair(t, 3072)
	good := map[string]string{"TOPIC": "t", "MSG": "text", "PUBKEY": public}
	for _, c := range []struct{ name, value, want string }{
		{"TOPIC", "", "is not set"},
		{"MSG", "", "is not set"},
		{"MSG", strings.Repeat("x", 293), "has 293 bytes; RSA-3072 with OAEP-SHA256 encrypts at most 318, and the message number takes up to 26; use at most 292"},
		{"PUBKEY", "", "is not set"},
		{"PUBKEY", "-----BEGIN PUBLIC KEY-----\nMIIBojAN***AE=\n-----END PUBLIC KEY-----", "use the content of NAME-pub.pem"},
		{"PUBKEY_VERSION", "demo/0123", "is not the version of a key"},
		{"INTERVAL", "1", "is not a duration"},
		{"INTERVAL", "0s", "is not a duration"},
	} {
		set := map[string]string{c.name: c.value}
		for name, value := range good {
			if name != c.name {
				set[name] = value
			}
		}
		err := run(t.Context(), set)
		if wrong, ok := errors.AsType[environment.Error](err); !ok || len(wrong) != 1 ||
			!strings.HasPrefix(wrong[0], c.name+": ") || !strings.Contains(wrong[0], c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if wrong, _ := errors.AsType[environment.Error](run(t.Context(), nil)); len(wrong) != 3 {
		t.Errorf("three variables are missing, but got %v", wrong)
	}
}
