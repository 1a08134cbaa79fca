package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"skr/internal/check"
	"skr/releasepolicy"
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

// styleFor returns the style of a list of checks for a value of --output.
func styleFor(output string, out io.Writer, env environment) check.Style {
	switch {
	case output == "json":
		return check.JSON
	case isColourful(out, env):
		return check.Coloured
	}
	return check.Plain
}

func marksFor(out io.Writer, env environment) releasepolicy.Marks {
	if isColourful(out, env) {
		return releasepolicy.ColourMarks
	}
	return releasepolicy.PlainMarks
}
