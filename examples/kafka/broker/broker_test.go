package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"skr/examples/kafka/broker"
	"skr/examples/kafka/environment"
)

func read(set map[string]string) (broker.Settings, error) {
	v := environment.New(func(name string) string { return set[name] })
	return broker.FromEnvironment(v), v.Err()
}

func TestDefaults(t *testing.T) {
	s, err := read(map[string]string{"TOPIC": "kafka-demo-topic"})
	if err != nil || s.Topic != "kafka-demo-topic" || fmt.Sprint(s.Addresses) != "[my-cluster-kafka-bootstrap:9092]" {
		t.Errorf("got %+v and %v", s, err)
	}
}

const hub = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0LXRleHQ="

func TestEventHubs(t *testing.T) {
	for _, text := range []string{hub, hub + ";", hub + ";EntityPath=t"} {
		s, err := read(map[string]string{"TOPIC": "t", "EVENTHUB_CONNECTION_STRING": text})
		if err != nil || fmt.Sprint(s.Addresses) != "[ns.servicebus.windows.net:9093]" {
			t.Errorf("got %+v and %v", s, err)
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", s, s, s), "c2VjcmV0") {
			t.Error("the settings print their secret")
		}
	}
}

func TestRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, value, want string }{
		{"TOPIC", "", "is not set"},
		{"TOPIC", "a topic", "is not a topic's name"},
		{"TOPIC", "..", "is not a topic's name"},
		{"BROKERS", "kafka", "is not host:port"},
		{"BROKERS", "a:9092,:9092", "is not host:port"},
		{"BROKERS", "a:70000", "is not host:port"},
		{"BROKER_TLS", "yes", "invalid syntax"},
		{"BROKER_CA_FILE", "/nonexistent", "no such file"},
		{"BROKER_CA_FILE", empty, "contains no certificate"},
		{"EVENTHUB_CONNECTION_STRING", "Endpoint=sb://ns/;c2VjcmV0", "is not Endpoint=sb://"},
		{"EVENTHUB_CONNECTION_STRING", strings.Replace(hub, "sb://", "http://", 1), "is not Endpoint=sb://"},
		{"EVENTHUB_CONNECTION_STRING", hub + ";EntityPath=other", `is for the event hub "other"`},
		{"SASL_USERNAME", "", "is not set, but SASL_PASSWORD is"},
		{"SASL_PASSWORD", "", "is not set, but SASL_USERNAME is"},
	} {
		set := map[string]string{"TOPIC": "t", c.name: c.value}
		for _, name := range []string{"SASL_USERNAME", "SASL_PASSWORD"} {
			if strings.HasPrefix(c.name, "SASL") && name != c.name {
				set[name] = "c2VjcmV0"
			}
		}
		if _, err := read(set); err == nil || !strings.HasPrefix(err.Error(), c.name+": ") || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s=%s: got %v, want %q", c.name, c.value, err, c.want)
		}
	}
	if _, err := read(map[string]string{"TOPIC": "t", "SASL_USERNAME": "u", "SASL_PASSWORD": "p", "EVENTHUB_CONNECTION_STRING": hub}); err == nil {
		t.Error("two credentials are accepted")
	}
}

// TestTLSAndSASL connects to a broker like Event Hubs: TLS, and SASL PLAIN over
// it.
func TestTLSAndSASL(t *testing.T) {
	certificate, roots := certify(t)
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "user", "pass"),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	set := map[string]string{"TOPIC": "t", "BROKERS": kafka.ListenAddrs()[0], "BROKER_CA_FILE": roots, "SASL_USERNAME": "user", "SASL_PASSWORD": "pass"}
	if err := ping(t, set); err != nil {
		t.Error(err)
	}
	set["SASL_PASSWORD"] = "other"
	if ping(t, set) == nil {
		t.Error("another password is accepted")
	}
	set["SASL_PASSWORD"], set["BROKER_CA_FILE"] = "pass", ""
	if ping(t, set) == nil {
		t.Error("a broker with an unknown CA is accepted")
	}
}

func ping(t *testing.T, set map[string]string) error {
	t.Helper()
	settings, err := read(set)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(settings.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return client.Ping(ctx)
}

func certify(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}
