// Package broker says how Kafka is reached: in the clear inside a cluster, as
// Strimzi's quick start sets it up, or over TLS with SASL PLAIN, as Azure Event
// Hubs wants it.
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

// defaultBroker is the bootstrap service of Strimzi's example cluster, seen from
// a pod in its namespace.
const defaultBroker = "my-cluster-kafka-bootstrap:9092"

// Settings of the connection. The zero value connects nowhere.
type Settings struct {
	// Topic that messages go through.
	Topic string
	// Addresses are host:port of brokers to begin with.
	Addresses []string

	tls        *tls.Config // nil is plain TCP
	credential *credential // nil is none; never without tls
}

// credential of SASL PLAIN (RFC 4616).
type credential struct{ username, password string }

// Format redacts.
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
	if s.credential != nil && s.tls == nil { // a password never crosses the network in the clear
		s.tls = newTLS()
	}
	return s
}

// useHub replaces addresses and credential by those of the namespace.
func (s *Settings) useHub(v *environment.Variables, hub *eventHub) {
	if s.credential != nil {
		v.Wrong("EVENTHUB_CONNECTION_STRING", "is set beside SASL_USERNAME: want one of them")
	}
	if hub.topic != "" && hub.topic != s.Topic {
		v.Wrong("EVENTHUB_CONNECTION_STRING", fmt.Sprintf("is for the event hub %q, and TOPIC is %q", hub.topic, s.Topic))
	}
	s.Addresses, s.credential = []string{hub.address}, &hub.credential
}

// Options for a client of these brokers.
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

// topicName as Kafka has it (org.apache.kafka.common.internals.Topic).
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func parseTopic(text string) (string, error) {
	if !topicName.MatchString(text) || text == "." || text == ".." {
		return "", fmt.Errorf("%q is not a topic's name: want letters, digits, '.', '_' and '-', at most 249", text)
	}
	return text, nil
}

func parseAddresses(text string) ([]string, error) {
	addresses := strings.Split(text, ",")
	for i, address := range addresses {
		addresses[i] = strings.TrimSpace(address)
		host, port, err := net.SplitHostPort(addresses[i])
		if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" || number == 0 {
			return nil, fmt.Errorf("%q is not host:port; want one or several, with commas between", address)
		}
	}
	return addresses, nil
}

func newTLS() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }

func tlsFrom(v *environment.Variables) *tls.Config {
	roots := environment.Optional(v, "BROKER_CA_FILE", nil, readRoots)
	if !environment.Optional(v, "BROKER_TLS", roots != nil, strconv.ParseBool) {
		if roots != nil {
			v.Wrong("BROKER_TLS", "is false, and BROKER_CA_FILE is set: want one of them")
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
		return nil, fmt.Errorf("%q has no certificate in PEM", path)
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
		v.Wrong("SASL_USERNAME", "is not set, and SASL_PASSWORD is")
	case c.password == "":
		v.Wrong("SASL_PASSWORD", "is not set, and SASL_USERNAME is")
	}
	return &c
}

// errConnectionString does not repeat the string, which holds a key.
var errConnectionString = errors.New("is not Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…")
