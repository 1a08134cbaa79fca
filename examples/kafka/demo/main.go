// Command demo runs the whole demonstration on this machine: an emulated Azure,
// an in-memory Kafka, skr, a producer and two consumers. One consumer gets the
// key from skr; the other stands for an ordinary pod and shows ciphertext. One
// page shows both side by side.
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
		_, _ = fmt.Fprintln(os.Stderr, "demo:", err) // nowhere else to report an error
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	d := demo{out: out, log: slog.New(slog.DiscardHandler)}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&d.bin, "bin", "../../bin", "directory with skr and skr-emulator")
	flags.StringVar(&d.listen, "listen", "127.0.0.1:3333", "address of the page that shows both consumers")
	flags.BoolVar(&d.once, "once", false, "check the pages, then exit")
	verbose := flags.Bool("verbose", false, "print the logs of the producer and the consumers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *verbose {
		d.log = slog.New(slog.NewTextHandler(errOut, nil))
	}
	return d.play(ctx)
}
