// Command demo runs the whole demonstration on this machine: an emulated Azure, an
// in-memory Kafka, skr, a producer and two consumers: one that skr gives the key, and one
// in an ordinary pod, which shows ciphertext. One page shows both, side by side.
//
//	make build && (cd examples/kafka && go run ./demo)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(os.Stderr, "demo:", err) // there is nowhere else to say it
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	d := demo{out: out, log: slog.New(slog.DiscardHandler)}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&d.bin, "bin", "../../bin", "directory of skr and skr-emulator")
	flags.StringVar(&d.listen, "listen", "127.0.0.1:3333", "address of the page that shows both consumers")
	flags.BoolVar(&d.once, "once", false, "read the pages, compare them, and end")
	verbose := flags.Bool("verbose", false, "print the logs of producer and consumers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *verbose {
		d.log = slog.New(slog.NewTextHandler(errOut, nil))
	}
	return d.play(ctx)
}
