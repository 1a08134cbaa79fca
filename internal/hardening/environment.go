package hardening

import (
	"fmt"
	"slices"
	"strings"
)

// unsafe lists the variables that make a linked library print secrets or weaken a check.
var unsafe = []struct {
	name   string
	bad    func(value string) bool
	effect string
}{
	// net/http (h2_bundle.go) and golang.org/x/net/http2, which gRPC uses, search the whole
	// value for this text.
	{"GODEBUG", func(value string) bool { return strings.Contains(value, "http2debug") }, "prints each HTTP/2 frame, with access tokens and keys"},
	{"GODEBUG", weakens, "weakens how certificates and signatures are verified"},
	// grpclog/loggerv2.go; internal/transport prints headers that it cannot decode.
	{
		"GRPC_GO_LOG_SEVERITY_LEVEL", func(value string) bool { return !slices.Contains([]string{"", "error", "ERROR"}, value) },
		"prints headers of callers",
	},
	// internal/binarylog of gRPC.
	{"GRPC_BINARY_LOG_FILTER", func(value string) bool { return value != "" }, "writes each gRPC message to a file, with keys"},
	// internal/log of the Azure SDK: requests, responses and errors of azcore and azidentity.
	{"AZURE_SDK_GO_LOGGING", func(value string) bool { return value != "" }, "prints requests for access tokens, and their answers"},
}

// weaker are the settings of GODEBUG that make Go accept what it now refuses (go.dev/doc/godebug).
var weaker = []string{
	"rsa1024min", "tls10server", "tls3des", "tlsmaxrsasize", "tlsrsakex", "tlssha1", "tlsunsafeekm",
	"x509negativeserial", "x509rsacrt", "x509usepolicies",
}

func weakens(value string) bool {
	for setting := range strings.SplitSeq(value, ",") {
		name, _, _ := strings.Cut(setting, "=")
		if slices.Contains(weaker, strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}

// CheckEnvironment returns an error if a variable makes a library print secrets or weakens a check. Libraries
// read them before main begins, so the program must not continue.
func CheckEnvironment(env map[string]string) error {
	for _, v := range unsafe {
		if value, set := env[v.name]; set && v.bad(value) {
			return fmt.Errorf("%s: this value %s; remove the variable", v.name, v.effect)
		}
	}
	return nil
}
