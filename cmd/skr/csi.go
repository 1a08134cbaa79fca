package main

import (
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/sidecar"
	"skr/internal/sidecar/server"
)

func csiProviderCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var socket string
	cmd := &cobra.Command{
		Use:   "csi-provider --socket PATH",
		Short: "Give the pods of this node keys as files, through the Secrets Store CSI driver",
		Long: "Serves the Secrets Store CSI driver on a socket in its directory of providers. The name of the socket is the\n" +
			"provider's: skr.sock serves SecretProviderClasses with provider: skr. Each mount is a release with the identity of\n" +
			"the pod's service account. The evidence is that of the node: it is the same for all pods.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveCSI(cmd, socket, env, io) },
	}
	cmd.Flags().StringVar(&socket, "socket", "", "path of the socket, such as /var/run/secrets-store-csi-providers/skr.sock (required)")
	_ = cmd.MarkFlagRequired("socket") // the flag exists
	return cmd
}

// providerSocket matches the names that the driver connects to.
var providerSocket = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,30}\.sock$`)

func serveCSI(cmd *cobra.Command, path string, env config.Environment, io cli.Streams) error {
	if !filepath.IsAbs(path) || !providerSocket.MatchString(filepath.Base(path)) {
		return cli.BadUsage(fmt.Errorf("--socket: %q is not an absolute path that ends in NAME.sock, with a name of letters, digits, - and _", path))
	}
	s, _, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return err
	}
	log, err := cli.OpenLog(s, io.Err)
	if err != nil {
		return s.Origins.Explain(err)
	}
	defer log.Close()
	cli.Harden(log.Logger)
	listener, err := server.Listen(cmd.Context(), "unix:"+path, server.OwnerOnly)
	if err != nil {
		return cli.BadUsage(fmt.Errorf("--socket: %w", err))
	}
	defer func() { _ = listener.Close() }() // ServeCSI closes it, unless it fails earlier
	return s.Origins.Explain(sidecar.ServeCSI(cmd.Context(), s, listener.Sockets()[0], log.Logger, log.Audit))
}
