package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"skr/internal/strictyaml"
)

// maxConfig bounds the configuration file; a full one has a few kilobytes.
const maxConfig = 1 << 20

// Load merges, from weak to strong: defaults, the YAML file, the environment of
// the drop-in, the environment, the drop-in's flags, flags.
func Load(given *pflag.FlagSet, env Environment) (*Settings, *pflag.FlagSet, error) {
	s := new(Settings)
	all := s.Flags()
	reference := &dropIn{fields: all}
	steps := []func() error{
		func() error {
			path, named := configFile(given, env)
			return applyFile(all, path, named)
		},
		func() error { return reference.environment(env) },
		func() error { return applyEnvironment(all, env) },
		func() error { return reference.flags(given) },
		func() error { return applyFlags(all, given) },
		s.check,
		func() error { return s.narrow(all) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, nil, originsOf(all).Explain(WrongSetting(err))
		}
	}
	s.unknown, s.warnings, s.Origins = unknownNames(all, env), reference.warnings, originsOf(all)
	s.Unused = s.idle(all)
	s.Steering = env.foreign(func(f foreign) bool { return f.Steers })
	return s, all, nil
}

// SettingError is what the person who configures must mend: a setting, wherever it comes from.
type SettingError struct{ cause error }

func (e *SettingError) Error() string { return "configuration: " + e.cause.Error() }
func (e *SettingError) Unwrap() error { return e.cause }

// configFile is the file that is named, if one is.
func configFile(given *pflag.FlagSet, env Environment) (path string, named bool) {
	if given != nil {
		if flag := given.Lookup("config"); flag != nil && flag.Changed {
			return flag.Value.String(), true
		}
	}
	path, named = env["SKR_CONFIG"]
	return path, named
}

func applyFile(all *pflag.FlagSet, path string, named bool) error {
	switch {
	case !named:
		return nil
	case path == "":
		return fmt.Errorf("the file of --config or SKR_CONFIG: it is %w", strictyaml.ErrEmpty)
	}
	data, err := ReadBounded(path, maxConfig)
	if err != nil {
		return fmt.Errorf("the file of --config or SKR_CONFIG: %w", err)
	}
	var fields map[string]any
	if err := strictyaml.Decode(data, &fields); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for name, value := range fields {
		if err := applyField(all, name, value); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func applyField(all *pflag.FlagSet, name string, value any) error {
	flag := all.Lookup(strings.ReplaceAll(name, "_", "-"))
	if flag == nil || FieldName(flag.Name) != name {
		return fmt.Errorf("unknown field %q; `skr config` prints all of them", name)
	}
	text, err := textOf(flag, value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return set(flag, name, text)
}

// textOf is what the flag's Set takes.
func textOf(flag *pflag.Flag, value any) (string, error) {
	if _, ok := flag.Value.(sectioned); !ok {
		return scalar(value)
	}
	if value == nil {
		return "", nil // set judges it
	}
	text, err := json.Marshal(value)
	return string(text), err
}

// scalar is the text of a YAML scalar, or of a list of them.
func scalar(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil // set judges it
	case string, bool, json.Number:
		return fmt.Sprint(value), nil
	case []any:
		words := make([]string, len(value))
		for i, word := range value {
			text, ok := word.(string)
			if !ok || strings.Contains(text, ",") {
				return "", errors.New("must be a list of words")
			}
			words[i] = text
		}
		return strings.Join(words, ","), nil
	default:
		return "", errors.New("must be a text, a number or a list of words")
	}
}

func applyEnvironment(all *pflag.FlagSet, env Environment) error {
	var failed error
	all.VisitAll(func(flag *pflag.Flag) {
		name := envName(flag.Name)
		if value, found := env[name]; found && failed == nil {
			failed = set(flag, name, value)
		}
	})
	return failed
}

// unknownNames finds misspelt settings, to warn of them. They are no error: the
// environment is not ours alone.
func unknownNames(all *pflag.FlagSet, env Environment) []string {
	known := map[string]bool{"SKR_CONFIG": true}
	all.VisitAll(func(flag *pflag.Flag) { known[envName(flag.Name)] = true })
	var unknown []string
	for name := range env {
		if strings.HasPrefix(name, "SKR_") && !known[name] && !isServiceLink(name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// isServiceLink recognises what Kubernetes sets for a service called "skr"
// (SKR_SERVICE_HOST, SKR_PORT_8080_TCP_ADDR and so on).
func isServiceLink(name string) bool {
	return strings.HasPrefix(name, "SKR_SERVICE_") || name == "SKR_PORT" || strings.HasPrefix(name, "SKR_PORT_")
}

func applyFlags(all, given *pflag.FlagSet) error {
	if given == nil {
		return nil
	}
	var failed error
	given.Visit(func(flag *pflag.Flag) {
		if target := all.Lookup(flag.Name); target != nil && failed == nil {
			failed = set(target, "--"+flag.Name, flag.Value.String())
		}
	})
	return failed
}

// mayBeEmpty reports whether an empty value turns the setting off.
func mayBeEmpty(name string) bool {
	return slices.ContainsFunc(table(), func(row setting) bool { return row.name == name && row.mayBeEmpty })
}

func set(flag *pflag.Flag, name, text string) error {
	if hasNothing(text) && !mayBeEmpty(flag.Name) {
		return isEmpty(flag, name)
	}
	if err := flag.Value.Set(text); err != nil {
		if _, ok := flag.Value.(sectioned); ok {
			return fmt.Errorf("%s: %w", name, err)
		}
		return fmt.Errorf("%s: invalid value %q", name, text)
	}
	flag.Changed, flag.Annotations = true, map[string][]string{setBy: {name}}
	return nil
}

// hasNothing is true of white space, of a list without words, and of a section that
// is null or without members.
func hasNothing(text string) bool {
	rest := strings.Trim(text, ",[]{} \t\r\n")
	return rest == "" || rest == "null" || rest == "~"
}

// isEmpty also says how an absent section is written.
func isEmpty(flag *pflag.Flag, name string) error {
	if _, ok := flag.Value.(sectioned); ok {
		return fmt.Errorf("%s: it is %w, or say %s", name, strictyaml.ErrEmpty, None)
	}
	return fmt.Errorf("%s: it is %w", name, strictyaml.ErrEmpty)
}

func ReadBounded(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only: closing cannot lose anything
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: is larger than %d bytes", path, limit)
	}
	return data, nil
}

// Tell logs what was found beside the settings.
func (s *Settings) Tell(log *slog.Logger) {
	for _, name := range s.unknown {
		log.Warn("ignoring an unknown environment variable; `skr config` prints all fields", "name", name)
	}
	for _, warning := range s.warnings {
		log.Warn(warning)
	}
	if names := s.Steering; len(names) > 0 {
		log.Info("variables of the environment are not used: imds_url and authority_host say whom the identity asks", "names", names)
	}
}

// WrongSetting returns the cause as a settingError.
func WrongSetting(cause error) error { return &SettingError{cause} }
