package tracing

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// tracesPath is the path for traces of a collector, below OTEL_EXPORTER_OTLP_ENDPOINT
// (OpenTelemetry protocol exporter, "Endpoint URLs for OTLP/HTTP").
const tracesPath = "v1/traces"

// endpointOf returns the URL to post spans to, or "" if tracing is not configured.
func endpointOf(getenv func(string) string) (string, error) {
	own, base := getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	if own == "" && base == "" || strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return "", nil
	}
	switch exporter := getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return "", nil
	case "", "otlp":
	default:
		return "", fmt.Errorf("OTEL_TRACES_EXPORTER: %q is neither otlp nor none", exporter)
	}
	if err := checkProtocol(getenv); err != nil {
		return "", err
	}
	if own != "" {
		return parseEndpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", own, "")
	}
	return parseEndpoint("OTEL_EXPORTER_OTLP_ENDPOINT", base, tracesPath)
}

func checkProtocol(getenv func(string) string) error {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch protocol := getenv(name); protocol {
		case "http/protobuf":
			return nil // the first variable that is set counts
		case "":
		default:
			return fmt.Errorf("%s: %q is not supported, only http/protobuf is", name, protocol)
		}
	}
	return nil
}

// parseEndpoint parses a URL. Errors do not repeat the text, which may contain a password.
func parseEndpoint(name, text, path string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		err = errors.New("not an http or https URL")
	case u.User != nil:
		err = errors.New("it contains a user name; use OTEL_EXPORTER_OTLP_HEADERS")
	case u.RawQuery != "" || u.Fragment != "":
		err = errors.New("it contains a query or a fragment")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if path != "" {
		u = u.JoinPath(path)
	}
	return u.String(), nil
}
