package main

import (
	"os"
	"strings"
)

// environment is the process environment; this file alone reads it.
type environment map[string]string

func osEnvironment() environment {
	env := make(environment)
	for _, entry := range os.Environ() {
		if name, value, found := strings.Cut(entry, "="); found {
			env[name] = value
		}
	}
	return env
}
