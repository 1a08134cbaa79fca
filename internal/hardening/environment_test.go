package hardening

import (
	"strings"
	"testing"
)

func TestCheckEnvironment(t *testing.T) {
	for name, values := range map[string][]string{
		"GODEBUG": {
			"http2debug=1", "http2debug=2", "gctrace=1,http2debug=2", "xhttp2debug=1", "netdns=go, http2debug=1",
			"rsa1024min=0", "netdns=go,x509negativeserial=1", "tlssha1=1 , gctrace=1", " tls3des=1",
		},
		"GRPC_GO_LOG_SEVERITY_LEVEL": {"info", "INFO", "warning", "Info"},
		"GRPC_BINARY_LOG_FILTER":     {"*", "*{h;m}"},
		"AZURE_SDK_GO_LOGGING":       {"all"},
	} {
		for _, value := range values {
			err := CheckEnvironment(map[string]string{"PATH": "/bin", name: value})
			if err == nil || !strings.HasPrefix(err.Error(), name+": ") {
				t.Errorf("%s=%s: got %v", name, value, err)
			}
		}
	}
	for name, value := range map[string]string{
		"GODEBUG": "netdns=go,gctrace=1,madvdontneed=1,http2client=0", "GRPC_GO_LOG_SEVERITY_LEVEL": "error",
		"GRPC_BINARY_LOG_FILTER": "", "AZURE_SDK_GO_LOGGING": "", "GRPC_GO_LOG_VERBOSITY_LEVEL": "99", "http2debug": "2",
	} {
		if err := CheckEnvironment(map[string]string{name: value}); err != nil {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}
