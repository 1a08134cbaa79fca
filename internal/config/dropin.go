package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// DropInNames, DropInFlags and DropInLevels are names of the reference sidecar
// (microsoft/confidential-sidecar-containers); docs/decisions/0004-drop-in.md lists them.
var (
	DropInNames = map[string]string{ // environment variable: flag
		"LogFile":                    "log-file",
		"LogLevel":                   "log-level",
		"AZURE_CLIENT_ID":            "client-id",
		"AZURE_TENANT_ID":            "tenant-id",
		"AZURE_FEDERATED_TOKEN_FILE": "federated-token-file",
		"AZURE_AUTHORITY_HOST":       "authority-host",
		"UVM_SECURITY_CONTEXT_DIR":   "security-context-dir",
		"UVM_SECURITY_POLICY":        "security-policy",
		"UVM_HOST_AMD_CERTIFICATE":   "host-certificate",
		"UVM_REFERENCE_INFO":         "reference-info",
	}
	DropInFlags = map[string]string{ // single-dash flag: ours
		"base64": "base64", "port": "port", "server_type": "server-type",
		"loglevel": "log-level", "logfile": "log-file",
		"infile": "infile", "keypath": "keypath", "outfile": "outfile",
		"allowTestingMismatchedTCB": "allow-testing-mismatched-tcb",
	}
	DropInLevels = map[string]string{"trace": "debug", "warning": "warn", "fatal": "error", "panic": "error"} // logrus' names
)

// dropIn sets fields from the names of the reference sidecar. It warns of values that the reference
// silently ignores.
type dropIn struct {
	fields   *pflag.FlagSet
	warnings []string
}

func (d *dropIn) warn(format string, args ...any) {
	d.warnings = append(d.warnings, fmt.Sprintf(format, args...))
}

func (d *dropIn) environment(env Environment) error {
	if err := d.sideCarArgs("SkrSideCarArgs", env["SkrSideCarArgs"]); err != nil {
		return err
	}
	if err := d.port("Port", env["Port"]); err != nil {
		return err
	}
	if err := d.serverType("ServerType", env["ServerType"]); err != nil {
		return err
	}
	for name, flag := range DropInNames {
		if value := env[name]; value != "" {
			if err := set(d.fields.Lookup(flag), name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *dropIn) flags(given *pflag.FlagSet) error {
	if given == nil || given.Lookup("base64") == nil {
		return nil
	}
	text := func(name string) string { return given.Lookup(name).Value.String() }
	switch {
	case given.Changed("allow-testing-mismatched-tcb"):
		return errors.New("-allowTestingMismatchedTCB is refused: certificates that do not match the TCB of the report prove nothing, and no switch weakens a check")
	case given.Changed("infile") || given.Changed("keypath") || given.Changed("outfile"):
		return errors.New("-infile, -keypath and -outfile must be used together and without a command")
	}
	return errors.Join(
		d.sideCarArgs("-base64", text("base64")),
		d.port("-port", text("port")),
		d.serverType("-server_type", text("server-type")))
}

// port sets the port of the listener that is configured.
func (d *dropIn) port(name, port string) error {
	if port == "" {
		return nil
	}
	listener := d.fields.Lookup("listen")
	if listener.Value.String() == "" {
		listener = d.fields.Lookup("grpc-listen")
	}
	return set(listener, name, "localhost:"+port)
}

const customaryGRPC = "localhost:50000"

// serverType moves the listener to gRPC, which replaces HTTP in the reference. There, any other word
// means HTTP.
func (d *dropIn) serverType(name, value string) error {
	switch strings.ToLower(value) {
	case "", "http":
		return nil
	case "grpc":
	default:
		d.warn("%s: %q is none of http, grpc; serving HTTP", name, value)
		return nil
	}
	address, listen := customaryGRPC, d.fields.Lookup("listen")
	if listen.Changed && listen.Value.String() != "" {
		address = listen.Value.String()
	}
	return errors.Join(set(d.fields.Lookup("grpc-listen"), name, address), set(listen, name, ""))
}
