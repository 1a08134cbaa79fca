package config

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/pflag"

	"skr/internal/strictyaml"
)

// None is the value of an absent section. An empty section is an error: a template that renders nothing
// must not remove a rule.
const None = "none"

// section is a setting with structure: a section of the YAML file, or JSON or YAML in one line in the
// environment and on the command line.
type section[T any] struct {
	Value T
	text  string // compact JSON, or none; "" until it is set
}

// sectioned is implemented by every section.
type sectioned interface {
	pflag.Value
	// tree returns the value that the YAML library prints.
	tree() any
}

var _ sectioned = (*section[any])(nil)

func (s *section[T]) String() string { return s.text }

// Type names the form in --help.
func (s *section[T]) Type() string { return "json" }

// Set replaces the whole section. Members that T does not have are refused.
func (s *section[T]) Set(text string) error {
	if text == None || text == `"`+None+`"` {
		*s = section[T]{text: None}
		return nil
	}
	var value T
	if err := strictyaml.Decode([]byte(text), &value); err != nil {
		return err
	}
	compact, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing it as JSON: %w", err)
	}
	s.Value, s.text = value, string(compact)
	return nil
}

func (s *section[T]) tree() any {
	if s.text == "" || s.text == None {
		return None
	}
	return s.Value
}
