package cli

import (
	"io"
	"os"

	"skr/internal/check"
	"skr/internal/config"
)

// IsColourful reports whether out is a terminal and env allows colour (no-color.org).
func IsColourful(out io.Writer, env config.Environment) bool {
	file, ok := out.(*os.File)
	if !ok || env["NO_COLOR"] != "" || env["TERM"] == "dumb" {
		return false
	}
	return isTerminal(file)
}

// StyleFor returns the style in which to print checks for a value of --output.
func StyleFor(output string, out io.Writer, env config.Environment) check.Style {
	switch {
	case output == "json":
		return check.JSON
	case IsColourful(out, env):
		return check.Coloured
	}
	return check.Plain
}
