// Package environment reads settings from variables and collects what is wrong
// with them, so that a program says all of it at once, a line for each:
//
//	topic := environment.Required(v, "TOPIC", parseTopic)
//	url := environment.Optional(v, "SkrClientURL", "http://localhost:8080", environment.Text)
//	if err := v.Err(); err != nil { … }
package environment

import (
	"strings"
)

// Variables of a process. Not safe for concurrent use.
type Variables struct {
	getenv func(string) string
	wrong  Error
}

// New reads with getenv; "" is a variable that is not set.
func New(getenv func(string) string) *Variables { return &Variables{getenv: getenv} }

// Error has a line for each variable that is missing or wrong, which begins with
// its name.
type Error []string

func (e Error) Error() string { return strings.Join(e, "\n") }

// Err is nil, or an [Error].
func (v *Variables) Err() error {
	if len(v.wrong) == 0 {
		return nil
	}
	return v.wrong
}

// Wrong says what is wrong with the variable of that name. The reason must not
// hold the value of a secret.
func (v *Variables) Wrong(name, reason string) {
	line := strings.Join(strings.Fields(name+": "+reason), " ") // parsers' errors may have line ends
	v.wrong = append(v.wrong, line)
}

// Required reads a variable that has no default; need completes "is not set: ".
func Required[T any](v *Variables, name, need string, parse func(string) (T, error)) T {
	if v.getenv(name) == "" {
		v.Wrong(name, "is not set: want "+need)
		var none T
		return none
	}
	return Optional(v, name, *new(T), parse)
}

// Optional reads a variable, or takes the default where it is not set.
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

// Text takes a value as it is.
func Text(text string) (string, error) { return text, nil }
