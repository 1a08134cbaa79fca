package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// The program that this one replaces (microsoft/confidential-sidecar-containers)
// is configured by these names; docs/decisions/0004-drop-in.md lists them.
var (
	dropInNames = map[string]string{ // environment variable: flag
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
	dropInFlags = map[string]string{ // single-dash flag: ours
		"base64": "base64", "port": "port", "server_type": "server-type",
		"loglevel": "log-level", "logfile": "log-file",
		"infile": "infile", "keypath": "keypath", "outfile": "outfile",
		"allowTestingMismatchedTCB": "allow-testing-mismatched-tcb",
	}
	dropInLevels = map[string]string{"trace": "debug", "warning": "warn", "fatal": "error", "panic": "error"}
)

// addDropInFlags adds the flags that exist only for the drop-in.
func addDropInFlags(fs *pflag.FlagSet) {
	fs.String("base64", "", "base64 of the JSON that SkrSideCarArgs holds")
	fs.String("port", "", "port of the HTTP listener on localhost")
	fs.String("server-type", "", "http or grpc")
	fs.String("infile", "", "file to wrap")
	fs.String("keypath", "", "PATH/NAME of the key to wrap with: PATH/NAME-info.json describes it")
	fs.String("outfile", "", "file for the annotation")
	fs.Bool("allow-testing-mismatched-tcb", false, "is refused")
	for _, name := range dropInFlags {
		fs.Lookup(name).Hidden = true
	}
}

// dropInArguments rewrites what the drop-in's manifests pass: a name under
// which the program was started, and flags with a single dash.
func dropInArguments(argv []string, env environment) ([]string, error) {
	program, args := filepath.Base(argv[0]), argv[1:]
	if program == "sh" {
		if !slices.Equal(args, []string{"-c", "/skr.sh"}) {
			return nil, &configError{errors.New("this image has no shell; only `sh -c /skr.sh` is understood")}
		}
		program, args = "skr.sh", nil
	}
	if program == "skr.sh" {
		return scriptArguments(args, env), nil
	}
	for i, arg := range args {
		args[i] = dropInFlag(arg)
	}
	return args, nil
}

// scriptArguments stands in for skr.sh: its two arguments are SkrSideCarArgs
// and Port, where the environment has none.
func scriptArguments(args []string, env environment) []string {
	flags := []string{} // cobra takes nil for os.Args
	for i, name := range []string{"SkrSideCarArgs", "Port"} {
		if i < len(args) && args[i] != "" && env[name] == "" {
			flags = append(flags, []string{"--base64=", "--port="}[i]+args[i])
		}
	}
	return flags
}

func dropInFlag(arg string) string {
	name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	ours, known := dropInFlags[name]
	if !strings.HasPrefix(arg, "-") || !known {
		return arg
	}
	if hasValue {
		return "--" + ours + "=" + value
	}
	return "--" + ours
}

func applyDropInEnvironment(all *pflag.FlagSet, env environment) error {
	if err := applySideCarArgs(all, "SkrSideCarArgs", env["SkrSideCarArgs"]); err != nil {
		return err
	}
	if err := applyPort(all, "Port", env["Port"]); err != nil {
		return err
	}
	if err := applyServerType(all, "ServerType", env["ServerType"]); err != nil {
		return err
	}
	for name, flag := range dropInNames {
		if value := env[name]; value != "" {
			if err := set(all.Lookup(flag), name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func applyDropInFlags(all, given *pflag.FlagSet) error {
	if given == nil || given.Lookup("base64") == nil {
		return nil
	}
	text := func(name string) string { return given.Lookup(name).Value.String() }
	switch {
	case given.Changed("allow-testing-mismatched-tcb"):
		return errors.New("-allowTestingMismatchedTCB is refused: certificates that do not match the report's TCB prove nothing, and no switch weakens a check")
	case given.Changed("infile") || given.Changed("keypath") || given.Changed("outfile"):
		return errors.New("-infile, -keypath and -outfile go together, and with no command")
	}
	return errors.Join(
		applySideCarArgs(all, "-base64", text("base64")),
		applyPort(all, "-port", text("port")),
		applyServerType(all, "-server_type", text("server-type")))
}

// applyPort is of the listener that there is.
func applyPort(all *pflag.FlagSet, name, port string) error {
	if port == "" {
		return nil
	}
	listener := all.Lookup("listen")
	if listener.Value.String() == "" {
		listener = all.Lookup("grpc-listen")
	}
	return set(listener, name, "localhost:"+port)
}

const customaryGRPC = "localhost:50000"

// applyServerType moves the listener to gRPC, which in the drop-in takes the
// place of HTTP.
func applyServerType(all *pflag.FlagSet, name, value string) error {
	switch value {
	case "", "http":
		return nil
	case "grpc":
	default:
		return fmt.Errorf("%s: %q is none of http, grpc", name, value)
	}
	address, listen := customaryGRPC, all.Lookup("listen")
	if listen.Changed && listen.Value.String() != "" {
		address = listen.Value.String()
	}
	return errors.Join(set(all.Lookup("grpc-listen"), name, address), set(listen, name, ""))
}

// wrapsFile says whether the drop-in's flags ask to wrap a file, and with what.
func wrapsFile(given *pflag.FlagSet) (o wrapOptions, asked bool, err error) {
	text := func(name string) string { return given.Lookup(name).Value.String() }
	in, key, out := text("infile"), text("keypath"), text("outfile")
	switch {
	case in == "" && key == "" && out == "":
		return o, false, nil
	case in == "" || key == "" || out == "":
		return o, false, &configError{errors.New("-infile, -keypath and -outfile go together")}
	}
	return wrapOptions{in: in, out: out, key: filepath.Base(key), keys: filepath.Dir(key)}, true, nil
}
