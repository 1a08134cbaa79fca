// Package pod starts and stops a program in a pod. Wrong settings end the
// program at once; each is reported in a line on standard error and in the
// container's termination message. SIGTERM ends the program with success.
//
//	func main() { os.Exit(pod.Main(consumer.Run)) }
package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"skr/examples/kafka/environment"
)

// Exit codes, the same as skr's.
const (
	exitDone          = 0
	exitFailed        = 1
	exitConfiguration = 2
)

// terminationLog is the default terminationMessagePath of a container
// (Kubernetes, "Determine the Reason for Pod Failure").
const terminationLog = "/dev/termination-log"

// Program runs until ctx ends. If the variables are wrong, it returns
// environment's error and does nothing else.
type Program func(ctx context.Context, variables *environment.Variables, log *slog.Logger) error

// Main runs the program with the environment of the process and returns its
// exit code: 2 if a variable is wrong, 1 if the program failed.
func Main(program Program) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, program, os.Getenv, os.Stderr, terminationLog)
}

func run(ctx context.Context, program Program, getenv func(string) string, errOut io.Writer, messageFile string) int {
	log := slog.New(slog.NewJSONHandler(errOut, nil))
	err := program(ctx, environment.New(getenv), log)
	if err == nil || errors.Is(err, context.Canceled) {
		return exitDone
	}
	_, _ = fmt.Fprintln(errOut, err) // nowhere else to report an error
	leave(messageFile, err.Error())
	if _, wrong := errors.AsType[environment.Error](err); wrong {
		return exitConfiguration
	}
	return exitFailed
}

// leave writes the termination message if the kubelet has mounted a file for
// it.
func leave(path, message string) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0) //nolint:gosec // a constant except in tests
	if err != nil {
		return // outside a pod there is no such file
	}
	_, _ = file.WriteString(message) // the message is also on standard error
	_ = file.Close()
}
