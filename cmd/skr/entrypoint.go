package main

import (
	"errors"
	"path"
	"slices"
	"strings"

	"skr/internal/cli"
	"skr/internal/config"
)

// ownNames are the names of the image's links to the program. A manifest has one of them as its
// command, or as the first argument of the image's entry point.
var ownNames = []string{"skr", "skr.sh", "sh"}

// dropInArguments rewrites the arguments of the drop-in's manifests: names of the program and
// flags with a single dash.
func dropInArguments(argv []string, env config.Environment) ([]string, error) {
	argv = startedAs(argv)
	program, args := path.Base(argv[0]), slices.Clone(argv[1:])
	switch program {
	case "sh":
		script, err := shellArguments(args)
		return scriptArguments(script, env), err
	case "skr.sh":
		return scriptArguments(args, env), nil
	}
	if len(args) > 0 && isProgram(args[0]) {
		return nil, cli.BadUsage(errors.New(args[0] + " is not in this image; " + notHere))
	}
	if len(args) > 0 && args[0] == "exec" { // the flags of its program are not ours
		return args, nil
	}
	for i, arg := range args {
		args[i] = dropInFlag(arg)
	}
	return args, nil
}

const notHere = "skr is its only program; docs/deployment.md lists what to use instead"

// isProgram reports whether arg names a program that manifests of the reference's image start.
func isProgram(arg string) bool {
	return strings.HasPrefix(arg, "/") || slices.Contains([]string{"bash", "curl", "get-snp-report", "sleep"}, arg)
}

// startedAs drops the name of the entry point if a name of the program follows. The links /skr.sh
// and /bin/sh have arguments of their own.
func startedAs(argv []string) []string {
	isScript := slices.Contains([]string{"skr.sh", "sh"}, path.Base(argv[0]))
	if len(argv) > 1 && !isScript && slices.Contains(ownNames, path.Base(argv[1])) {
		return argv[1:]
	}
	return argv
}

// shellArguments returns the arguments of the one script that `sh` runs.
func shellArguments(args []string) ([]string, error) {
	switch {
	case slices.Equal(args, []string{"-c", "/skr.sh"}):
		return nil, nil
	case len(args) > 0 && args[0] == "/skr.sh":
		return args[1:], nil
	}
	return nil, cli.BadUsage(errors.New("this image has no shell; only `sh -c /skr.sh` and `sh /skr.sh` work; " + notHere))
}

// scriptArguments replaces skr.sh, whose two arguments are SkrSideCarArgs and Port. Variables of
// the environment take precedence.
func scriptArguments(args []string, env config.Environment) []string {
	flags := []string{} // not nil: cobra would use os.Args
	for i, name := range []string{"SkrSideCarArgs", "Port"} {
		if i < len(args) && args[i] != "" && env[name] == "" {
			flags = append(flags, []string{"--base64=", "--port="}[i]+args[i])
		}
	}
	return flags
}

func dropInFlag(arg string) string {
	name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	ours, known := config.DropInFlags[name]
	if !strings.HasPrefix(arg, "-") || !known {
		return arg
	}
	if hasValue {
		return "--" + ours + "=" + value
	}
	return "--" + ours
}
