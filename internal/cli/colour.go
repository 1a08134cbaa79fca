package cli

import (
	"io"
	"os"

	"skr/internal/config"
)

// IsColourful says whether out is a terminal whose user wants colour (no-color.org).
func IsColourful(out io.Writer, env config.Environment) bool {
	file, ok := out.(*os.File)
	if !ok || env["NO_COLOR"] != "" || env["TERM"] == "dumb" {
		return false
	}
	return isTerminal(file)
}
