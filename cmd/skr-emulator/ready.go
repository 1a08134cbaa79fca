package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/spf13/cobra"
)

// publish writes the environment once everything in it exists. The file appears whole.
func (o serveOptions) publish(out io.Writer, text string) (remove func(), err error) {
	if o.envFile == "" {
		_, err := io.WriteString(out, text)
		return func() {}, err
	}
	next := o.envFile + ".new"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil { // it has a client secret
		return nil, fmt.Errorf("--env-file: %w", err)
	}
	if err := os.Rename(next, o.envFile); err != nil {
		return nil, fmt.Errorf("--env-file: %w", err)
	}
	_, _ = fmt.Fprintf(out, "the emulated cloud is ready; its environment is in %s\n", o.envFile) // output errors do not matter
	return func() { _ = os.Remove(o.envFile) }, nil                                               // healthcheck notices a stale file
}

// unpublish removes the file of an emulator that was killed.
func (o serveOptions) unpublish() error {
	if o.envFile == "" {
		return nil
	}
	if err := os.Remove(o.envFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--env-file: %w", err)
	}
	return nil
}

func healthcheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck FILE",
		Short: "Succeed if the emulator that writes FILE (serve --env-file) is ready",
		Args:  cobra.ExactArgs(1),
		RunE:  func(cmd *cobra.Command, args []string) error { return healthcheck(cmd.Context(), args[0]) },
	}
	return cmd
}

const healthTimeout = 5 * time.Second

var imdsLine = regexp.MustCompile(`(?m)^export SKR_IMDS_URL='([^']+)'$`)

// healthcheck connects to the emulator: an emulator that was killed leaves its file.
func healthcheck(ctx context.Context, file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // the developer names the file
	if err != nil {
		return fmt.Errorf("the emulator is not ready: %w", err)
	}
	found := imdsLine.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("%s was not written by skr-emulator serve --env-file", file)
	}
	at, err := url.Parse(string(found[1]))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return fmt.Errorf("the emulator that wrote %s has ended: %w", file, err)
	}
	return connection.Close()
}
