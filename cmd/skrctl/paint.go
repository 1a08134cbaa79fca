package main

import (
	"io"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/releasepolicy"
)

func marksFor(out io.Writer, env config.Environment) releasepolicy.Marks {
	if cli.IsColourful(out, env) {
		return releasepolicy.ColourMarks
	}
	return releasepolicy.PlainMarks
}
