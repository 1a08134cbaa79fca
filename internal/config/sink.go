package config

import (
	"encoding/json"
	"errors"
	"slices"
)

// Sink is a file that skr keeps up to date. Package sinks checks and writes it.
type Sink struct {
	// Path of the file, absolute.
	Path string `json:"path"`
	// Alias is the key; for a template, a list of those that it may use.
	Alias OneOrMore `json:"alias"`
	// Format of the key: pem, pkcs8, der, jwk, ssh or raw.
	Format string `json:"format,omitempty"`
	// Envelope is a file with a secret that was sealed to the key; for a template, a list of those
	// that it may open.
	Envelope OneOrMore `json:"envelope,omitempty"`
	// Template is a file to render.
	Template string `json:"template,omitempty"`
	// Mode of the file, octal in quotes. None means 0400, and 0440 with a group.
	Mode string `json:"mode,omitempty"`
	// Owner is "uid" or "uid:gid". None means those of skr.
	Owner string `json:"owner,omitempty"`
	// AllowDisk permits a file system that is not in memory.
	AllowDisk bool `json:"allow_disk,omitempty"`
	// Keep is false to remove the file when skr stops. None means true.
	Keep *bool `json:"keep,omitempty"`
	// Exec is a program and its arguments, which runs after each change.
	Exec []string `json:"exec,omitempty"`
	// Signal goes to the process in PIDFile after each change.
	Signal  string `json:"signal,omitempty"`
	PIDFile string `json:"pid_file,omitempty"`
}

// OneOrMore is a text, or a list of texts.
type OneOrMore []string

// UnmarshalJSON accepts a string or a list of strings.
func (o *OneOrMore) UnmarshalJSON(text []byte) error {
	var list []string
	if err := unmarshalWords(text, &list); err != nil {
		return errors.New("want a string or a list of strings")
	}
	*o = list
	return nil
}

// unmarshalWords accepts a string that is not empty, or a list of such strings.
func unmarshalWords(text []byte, list *[]string) error {
	var word string
	if json.Unmarshal(text, &word) == nil && word != "" {
		*list = []string{word}
		return nil
	}
	if err := json.Unmarshal(text, list); err != nil || len(*list) == 0 || slices.Contains(*list, "") {
		return errors.New("is neither a string nor a list of strings")
	}
	return nil
}
