package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"skr/internal/cli"
)

// confirm asks a question on standard error and returns an error unless the answer is yes. Without
// an answer, such as in a pipeline, the error names the flag that replaces it.
func confirm(question string, streams cli.Streams) error {
	if _, err := fmt.Fprintf(streams.Err, "%s [y/N] ", question); err != nil {
		return err
	}
	answer, err := bufio.NewReader(streams.In).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	case "":
		if err != nil {
			return cli.BadUsage(errors.New("nothing was written: no answer was given; add --yes in a pipeline"))
		}
	}
	return &verdictError{"nothing was written: the answer was not yes"}
}
