package config

import (
	"encoding/json"
	"errors"
	"slices"
)

// Sink is a file that skr keeps up to date. Package sinks checks and writes it.
type Sink struct {
	// The file: an absolute path in an existing directory. Required.
	Path string `json:"path"`
	// The key; for a template, a list of the keys that it may use. Required.
	Alias OneOrMore `json:"alias"`
	// `pem`, `pkcs8`, `der`, `jwk`, `ssh` or `raw`. Required without an envelope or a template.
	Format string `json:"format,omitempty"`
	// A file with a secret that was sealed to the key; for a template, a list of those that it may open.
	Envelope OneOrMore `json:"envelope,omitempty"`
	// A file to render.
	Template string `json:"template,omitempty"`
	// Octal digits in quotes; `0400` by default, `0440` with a group. Only the owner may have the right to write.
	Mode string `json:"mode,omitempty"`
	// `uid` or `uid:gid`, in quotes and numbers; skr's by default. Needs CAP_CHOWN.
	Owner string `json:"owner,omitempty"`
	// `true` permits a file system that is not in memory.
	AllowDisk bool `json:"allow_disk,omitempty"`
	// `false` removes the file when skr stops. The default is `true`.
	Keep *bool `json:"keep,omitempty"`
	// A program by its absolute path, and its arguments. It runs after each change.
	Exec []string `json:"exec,omitempty"`
	// HUP, INT, QUIT, TERM, USR1, USR2 or WINCH: sent to the process in `pid_file` after each change.
	Signal string `json:"signal,omitempty"`
	// A file with the id of the process that gets `signal`.
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
