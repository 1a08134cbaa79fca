// Package broker configures the connection to Kafka: in the clear inside a
// cluster, as in Strimzi's quick start, or over TLS with SASL PLAIN, as Azure
// Event Hubs requires.
package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"skr/examples/kafka/environment"
)

// defaultBroker is the bootstrap service of Strimzi's example cluster, as seen
// from a pod in its namespace.
const defaultBroker = "my-cluster-kafka-bootstrap:9092"

// Settings configure the connection. The zero value connects to nothing.
type Settings struct {
	// Topic is the topic of the messages.
	Topic string
	// Addresses are the host:port of the initial brokers.
	Addresses []string

	tls        *tls.Config // nil means plain TCP
	credential *credential // nil means none; set only with tls
}

// credential is a credential of SASL PLAIN (RFC 4616).
type credential struct{ username, password string }

// Format redacts the credential.
func (credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// FromEnvironment reads TOPIC, BROKERS, BROKER_TLS, BROKER_CA_FILE, and either
// SASL_USERNAME with SASL_PASSWORD or EVENTHUB_CONNECTION_STRING.
func FromEnvironment(v *environment.Variables) Settings {
	s := Settings{
		Topic:     environment.Required(v, "TOPIC", "the topic's name, such as kafka-demo-topic", parseTopic),
		Addresses: environment.Optional(v, "BROKERS", []string{defaultBroker}, parseAddresses),
		tls:       tlsFrom(v),
	}
	s.credential = saslFrom(v)
	if hub := environment.Optional(v, "EVENTHUB_CONNECTION_STRING", nil, parseConnectionString); hub != nil {
		s.useHub(v, hub)
	}
	if s.credential != nil && s.tls == nil { // a password must not cross the network in the clear
		s.tls = newTLS()
	}
	return s
}

// useHub replaces addresses and credential with those of the namespace.
func (s *Settings) useHub(v *environment.Variables, hub *eventHub) {
	if s.credential != nil {
		v.Wrong("EVENTHUB_CONNECTION_STRING", "is set, and so is SASL_USERNAME; set only one of them")
	}
	if hub.topic != "" && hub.topic != s.Topic {
		v.Wrong("EVENTHUB_CONNECTION_STRING", fmt.Sprintf("is for the event hub %q, but TOPIC is %q", hub.topic, s.Topic))
	}
	s.Addresses, s.credential = []string{hub.address}, &hub.credential
}

// Options returns the options of a client of these brokers.
func (s Settings) Options() []kgo.Opt {
	options := []kgo.Opt{kgo.SeedBrokers(s.Addresses...), kgo.ClientID("skr-kafka-demo"), kgo.AllowAutoTopicCreation()}
	if s.tls != nil {
		options = append(options, kgo.DialTLSConfig(s.tls))
	}
	if s.credential != nil {
		auth := plain.Auth{User: s.credential.username, Pass: s.credential.password}
		options = append(options, kgo.SASL(auth.AsMechanism()))
	}
	return options
}

// topicName matches Kafka's topic names
// (org.apache.kafka.common.internals.Topic).
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func parseTopic(text string) (string, error) {
	if !topicName.MatchString(text) || text == "." || text == ".." {
		return "", fmt.Errorf("%q is not a topic's name; use at most 249 letters, digits, '.', '_' and '-'", text)
	}
	return text, nil
}

func parseAddresses(text string) ([]string, error) {
	addresses := strings.Split(text, ",")
	for i, address := range addresses {
		addresses[i] = strings.TrimSpace(address)
		host, port, err := net.SplitHostPort(addresses[i])
		if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" || number == 0 {
			return nil, fmt.Errorf("%q is not host:port; use one or more, separated by commas", address)
		}
	}
	return addresses, nil
}

func newTLS() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }

func tlsFrom(v *environment.Variables) *tls.Config {
	roots := environment.Optional(v, "BROKER_CA_FILE", nil, readRoots)
	if !environment.Optional(v, "BROKER_TLS", roots != nil, strconv.ParseBool) {
		if roots != nil {
			v.Wrong("BROKER_TLS", "is false, but BROKER_CA_FILE is set; change one of them")
		}
		return nil
	}
	config := newTLS()
	config.RootCAs = roots
	return config
}

func readRoots(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%q contains no certificate in PEM", path)
	}
	return roots, nil
}

func saslFrom(v *environment.Variables) *credential {
	c := credential{
		username: environment.Optional(v, "SASL_USERNAME", "", environment.Text),
		password: environment.Optional(v, "SASL_PASSWORD", "", environment.Text),
	}
	switch {
	case c == credential{}:
		return nil
	case c.username == "":
		v.Wrong("SASL_USERNAME", "is not set, but SASL_PASSWORD is")
	case c.password == "":
		v.Wrong("SASL_PASSWORD", "is not set, but SASL_USERNAME is")
	}
	return &c
}

// errConnectionString does not quote the string, because it contains a key.
var errConnectionString = errors.New("is not Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…")
