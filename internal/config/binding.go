package config

import (
	"time"

	"github.com/spf13/pflag"
)

// binding adds to fs a flag that sets one field of s, with a default.
type binding func(s *Settings, fs *pflag.FlagSet, name, usage string)

func text(field func(*Settings) *string, value string) binding {
	return func(s *Settings, fs *pflag.FlagSet, name, usage string) { fs.StringVar(field(s), name, value, usage) }
}

func wait(field func(*Settings) *time.Duration, value time.Duration) binding {
	return func(s *Settings, fs *pflag.FlagSet, name, usage string) { fs.DurationVar(field(s), name, value, usage) }
}

func yesNo(field func(*Settings) *bool, value bool) binding {
	return func(s *Settings, fs *pflag.FlagSet, name, usage string) { fs.BoolVar(field(s), name, value, usage) }
}

func number(field func(*Settings) *int, value int) binding {
	return func(s *Settings, fs *pflag.FlagSet, name, usage string) { fs.IntVar(field(s), name, value, usage) }
}

func fraction(field func(*Settings) *float64, value float64) binding {
	return func(s *Settings, fs *pflag.FlagSet, name, usage string) { fs.Float64Var(field(s), name, value, usage) }
}

func words(field func(*Settings) *List, value List) binding {
	return func(s *Settings, fs *pflag.FlagSet, name, usage string) {
		*field(s) = value
		fs.Var(field(s), name, usage)
	}
}

func form(field func(*Settings) pflag.Value) binding {
	return func(s *Settings, fs *pflag.FlagSet, name, usage string) { fs.Var(field(s), name, usage) }
}

// Flags returns a flag for each setting, with its default.
func (s *Settings) Flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("skr", pflag.ContinueOnError)
	fs.SortFlags = false
	for _, row := range table() {
		row.bind(s, fs, row.name, row.usage)
	}
	return fs
}
