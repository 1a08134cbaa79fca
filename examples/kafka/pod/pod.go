// Package pod is how a program begins and ends in a pod: settings that cannot be
// used end it at once, with a line for each on standard error and as the
// container's termination message, and SIGTERM ends it with success.
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

// Exit codes, as those of skr.
const (
	exitDone          = 0
	exitFailed        = 1
	exitConfiguration = 2
)

// terminationLog is terminationMessagePath of a container that names none
// (Kubernetes, "Determine the Reason for Pod Failure").
const terminationLog = "/dev/termination-log"

// Program runs until ctx ends. It returns environment's error, and does nothing,
// if the variables cannot be used.
type Program func(ctx context.Context, variables *environment.Variables, log *slog.Logger) error

// Main runs the program with the environment of the process, and returns its exit
// code: 2 where a variable is wrong, 1 where the program failed.
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
	_, _ = fmt.Fprintln(errOut, err) // there is nowhere else to say it
	leave(messageFile, err.Error())
	if _, wrong := errors.AsType[environment.Error](err); wrong {
		return exitConfiguration
	}
	return exitFailed
}

// leave the termination message, where the kubelet has mounted a file for it.
func leave(path, message string) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0) //nolint:gosec // a constant, but in tests
	if err != nil {
		return // outside of a pod there is none
	}
	_, _ = file.WriteString(message) // standard error has it too
	_ = file.Close()
}
