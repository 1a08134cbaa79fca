package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"skr/api"
	"skr/internal/cli"
	"skr/internal/config"
)

func healthcheckCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Check whether the sidecar on this machine is ready",
		Long:  "Exits with code 0 if the sidecar at the address of --listen is ready. Use it as a container's probe.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, err := config.Load(cmd.Flags(), env)
			if err != nil {
				return err
			}
			if s.Listen == "" {
				return healthcheckGRPC(cmd.Context(), s.GRPCListen, wait, io)
			}
			return healthcheck(cmd.Context(), s.Listen, wait, io)
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 2*time.Second, "how long to wait for the sidecar to become ready")
	return cmd
}

func healthcheck(ctx context.Context, listen string, wait time.Duration, io cli.Streams) error {
	client, err := api.NewClient(api.Config{BaseURL: baseURL(listen)})
	if err != nil {
		return cli.BadUsage(fmt.Errorf("listen: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := client.WaitReady(ctx); err != nil {
		return fmt.Errorf("the sidecar at %s is not ready: %w", listen, whyNot(ctx, client, err))
	}
	_, err = fmt.Fprintln(io.Out, "ready")
	return err
}

// whyNot adds to err which part is not ready. It returns err if skr does not answer.
func whyNot(ctx context.Context, client *api.Client, err error) error {
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	answer, failed := client.Ready(asking)
	if failed != nil || answer.Ready {
		return err
	}
	return fmt.Errorf("%w: %s", err, answer)
}
