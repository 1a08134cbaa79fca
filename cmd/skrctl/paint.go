package main

import (
	"io"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/operator/lint"
	"skr/internal/operator/verify"
)

func marksFor(out io.Writer, env config.Environment) lint.Marks {
	if cli.IsColourful(out, env) {
		return lint.ColourMarks
	}
	return lint.PlainMarks
}

func paintFor(out io.Writer, env config.Environment) verify.Paint {
	if cli.IsColourful(out, env) {
		return verify.Coloured
	}
	return verify.Plain
}
