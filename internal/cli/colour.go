package cli

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"skr/internal/config"
)

// IsColourful says whether out is a terminal whose user wants colour (no-color.org).
func IsColourful(out io.Writer, env config.Environment) bool {
	file, ok := out.(*os.File)
	if !ok || env["NO_COLOR"] != "" || env["TERM"] == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS) // #nosec G115 -- descriptors are small
	return err == nil
}
