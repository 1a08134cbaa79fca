package main

import (
	"bufio"
	"errors"
	"fmt"

	"skr/internal/cli"
)

// confirm asks on standard error, and returns an error unless the answer is the expected word. With
// yes, it does not ask.
func confirm(streams cli.Streams, yes bool, word, question string) error {
	if yes {
		return nil
	}
	if _, err := fmt.Fprintf(streams.Err, "%s\ntype %q to go on: ", question, word); err != nil {
		return err
	}
	answer := bufio.NewScanner(streams.In)
	if answer.Scan() && answer.Text() == word {
		return nil
	}
	if err := answer.Err(); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return cli.BadUsage(errors.New("not confirmed, and nothing was changed; in a pipeline, use --yes"))
}
