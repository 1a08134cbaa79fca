// Package environment reads settings from variables and collects all problems,
// so that a program reports them together, one per line:
//
//	topic := environment.Required(v, "TOPIC", "the topic's name", parseTopic)
//	url := environment.Optional(v, "SkrClientURL", "http://localhost:8080", environment.Text)
//	if err := v.Err(); err != nil { … }
package environment

import (
	"strings"
)

// Variables are the variables of a process. They are not safe for concurrent
// use.
type Variables struct {
	getenv func(string) string
	wrong  Error
}

// New reads variables with getenv; "" means not set.
func New(getenv func(string) string) *Variables { return &Variables{getenv: getenv} }

// Error has one line for each missing or wrong variable. Each line begins with
// the variable's name.
type Error []string

func (e Error) Error() string { return strings.Join(e, "\n") }

// Err returns nil or an [Error].
func (v *Variables) Err() error {
	if len(v.wrong) == 0 {
		return nil
	}
	return v.wrong
}

// Wrong records what is wrong with a variable. The reason must not contain a
// secret value.
func (v *Variables) Wrong(name, reason string) {
	line := strings.Join(strings.Fields(name+": "+reason), " ") // parsers' errors may have several lines
	v.wrong = append(v.wrong, line)
}

// Required reads a variable without a default. need completes "is not set; use
// ".
func Required[T any](v *Variables, name, need string, parse func(string) (T, error)) T {
	if v.getenv(name) == "" {
		v.Wrong(name, "is not set; use "+need)
		var none T
		return none
	}
	return Optional(v, name, *new(T), parse)
}

// Optional reads a variable, or returns the default if it is not set.
func Optional[T any](v *Variables, name string, otherwise T, parse func(string) (T, error)) T {
	text := v.getenv(name)
	if text == "" {
		return otherwise
	}
	value, err := parse(text)
	if err != nil {
		v.Wrong(name, err.Error())
	}
	return value
}

// Text returns the value unchanged.
func Text(text string) (string, error) { return text, nil }
