package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

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

func marksFor(out io.Writer, env environment) releasepolicy.Marks {
	if isColourful(out, env) {
		return releasepolicy.ColourMarks
	}
	return releasepolicy.PlainMarks
}
