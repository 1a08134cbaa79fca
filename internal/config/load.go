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

// maxConfig limits the configuration file. A full one has a few kilobytes.
const maxConfig = 1 << 20

// Load merges these sources; later ones take precedence: defaults, the YAML file, the environment of
// the drop-in, the environment, the flags of the drop-in, flags.
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
		func() error { return s.applyCloud(all) },
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

// SettingError is a wrong setting, from any source.
type SettingError struct{ cause error }

func (e *SettingError) Error() string { return "configuration: " + e.cause.Error() }
func (e *SettingError) Unwrap() error { return e.cause }

// configFile returns the configuration file and whether one is named.
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

// textOf returns the value as text for the Set method of the flag.
func textOf(flag *pflag.Flag, value any) (string, error) {
	if _, ok := flag.Value.(sectioned); !ok {
		return scalar(value)
	}
	if value == nil {
		return "", nil // set checks it
	}
	text, err := json.Marshal(value)
	return string(text), err
}

// scalar returns the text of a YAML scalar or of a list of words.
func scalar(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil // set checks it
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

// unknownNames returns misspelt settings, for a warning. They are not errors, because other programs
// also set variables.
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

// isServiceLink reports whether Kubernetes sets the variable for a service called "skr"
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
	if isBlank(text) && !mayBeEmpty(flag.Name) {
		return emptyError(flag, name)
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

// isBlank reports whether text is white space, a list without words, or a section that is null or has
// no members.
func isBlank(text string) bool {
	rest := strings.Trim(text, ",[]{} \t\r\n")
	return rest == "" || rest == "null" || rest == "~"
}

// emptyError also says how to write an absent section.
func emptyError(flag *pflag.Flag, name string) error {
	if _, ok := flag.Value.(sectioned); ok {
		return fmt.Errorf("%s: it is %w, or say %s", name, strictyaml.ErrEmpty, None)
	}
	return fmt.Errorf("%s: it is %w", name, strictyaml.ErrEmpty)
}

// ReadBounded reads a file. It returns an error if the file is larger than limit.
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

// LogWarnings logs unknown and ignored variables.
func (s *Settings) LogWarnings(log *slog.Logger) {
	for _, name := range s.unknown {
		log.Warn("ignoring an unknown environment variable; `skr config` prints all fields", "name", name)
	}
	for _, warning := range s.warnings {
		log.Warn(warning)
	}
	if names := s.Steering; len(names) > 0 {
		log.Info("ignoring environment variables: imds_url and authority_host set the services for the identity", "names", names)
	}
}

// WrongSetting returns the cause as a SettingError.
func WrongSetting(cause error) error { return &SettingError{cause} }
