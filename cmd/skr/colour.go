package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"skr/internal/operator/lint"
)

// isColourful says whether out is a terminal whose user wants colour (no-color.org).
func isColourful(out io.Writer, env environment) bool {
	file, ok := out.(*os.File)
	if !ok || env["NO_COLOR"] != "" || env["TERM"] == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS) // #nosec G115 -- descriptors are small
	return err == nil
}

func marksFor(out io.Writer, env environment) lint.Marks {
	if isColourful(out, env) {
		return lint.ColourMarks
	}
	return lint.PlainMarks
}
