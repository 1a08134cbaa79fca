package broker

import (
	"net"
	"strings"
)

const (
	// hubUser means that the password is a connection string (Microsoft, "Azure
	// Event Hubs for Apache Kafka", security and authentication).
	hubUser = "$ConnectionString"
	// hubPort is a namespace's Kafka port, with TLS (same document).
	hubPort = "9093"
)

// eventHub is a namespace of Azure Event Hubs, used as a Kafka broker.
type eventHub struct {
	address    string
	topic      string // EntityPath; "" if the string is for the namespace
	credential credential
}

// parseConnectionString parses what the portal calls "Connection string–primary
// key".
func parseConnectionString(text string) (*eventHub, error) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(text), ";"), ";") {
		name, value, found := strings.Cut(part, "=")
		if !found || value == "" {
			return nil, errConnectionString
		}
		parts[name] = value
	}
	host, found := strings.CutPrefix(strings.TrimSuffix(parts["Endpoint"], "/"), "sb://")
	if !found || host == "" || strings.ContainsAny(host, "/:@ ") || parts["SharedAccessKeyName"] == "" || parts["SharedAccessKey"] == "" {
		return nil, errConnectionString
	}
	return &eventHub{
		address:    net.JoinHostPort(host, hubPort),
		topic:      parts["EntityPath"],
		credential: credential{hubUser, strings.TrimSpace(text)},
	}, nil
}
