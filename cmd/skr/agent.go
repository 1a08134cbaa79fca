package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"skr/attest/snp"
	"skr/attest/tpm"
	"skr/attest/vtpm"
	"skr/internal/cli"
	"skr/internal/config"
	"skr/internal/refusal"
	"skr/internal/sidecar/agent"
	"skr/internal/sidecar/server"
)

const (
	defaultGroup = 65532 // group of the image, see the Dockerfile
	socketMode   = 0o660
)

// agentOptions are the flags of skr agent.
type agentOptions struct {
	dir   string
	group int
}

func agentCommand(env config.Environment, io cli.Streams) *cobra.Command {
	var o agentOptions
	cmd := &cobra.Command{
		Use:   "agent --dir DIR",
		Short: "Lend this node's devices to sidecars without privileges",
		Long: "Serves those of these devices that the node has, in DIR: tpm.sock, the virtual TPM without the commands that\n" +
			"change a machine; report.sock, reports of the processor; event-log, a copy of the firmware's event log. Sidecars\n" +
			"use them with the settings tpm, report_source and event_log. The evidence is that of the node: it is the same\n" +
			"for all pods.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runAgent(cmd, o, env, io) },
	}
	cmd.Flags().StringVar(&o.dir, "dir", "", "directory for the sockets and the event log (required)")
	cmd.Flags().IntVar(&o.group, "group", defaultGroup, "id of the group that may use the sockets")
	_ = cmd.MarkFlagRequired("dir") // the flag exists
	return cmd
}

func runAgent(cmd *cobra.Command, o agentOptions, env config.Environment, io cli.Streams) error {
	if !filepath.IsAbs(o.dir) {
		return cli.BadUsage(fmt.Errorf("--dir: %q is not an absolute path", o.dir))
	}
	s, _, err := config.Load(cmd.Flags(), env)
	if err != nil {
		return err
	}
	log, err := cli.OpenLog(s, io.Err)
	if err != nil {
		return err
	}
	defer log.Close()
	cli.Harden(log.Logger)
	lender, err := o.open(cmd.Context(), s, log.Logger)
	if err != nil {
		log.Error("stopped", "error", err.Error())
		return err
	}
	return lender.run(cmd.Context())
}

// lender is an agent with its sockets. A socket is nil if the node has no such device.
type lender struct {
	agent        *agent.Agent
	tpm, reports net.Listener
}

func (o agentOptions) open(ctx context.Context, s *config.Settings, log *slog.Logger) (*lender, error) {
	source, noReports := openReports(ctx, s)
	device, noTPM := tpm.Open(s.TPM)
	if noReports != nil && noTPM != nil {
		return nil, refusal.Newf(refusal.NoEvidence, "this node has no device to lend: %s; %s", noReports, noTPM)
	}
	if err := o.copyLog(s.EventLog, log); err != nil {
		return nil, err
	}
	l := &lender{agent: agent.New(agent.Config{TPM: device, Source: source, Logger: log})}
	var failed [2]error
	if noTPM == nil {
		l.tpm, failed[0] = o.listen(ctx, "tpm.sock", s.TPM, log)
	}
	if noReports == nil {
		l.reports, failed[1] = o.listen(ctx, "report.sock", source.String(), log)
	}
	return l, errors.Join(failed[:]...)
}

// openReports returns the source of reports. It returns an error if the source gives no report.
func openReports(ctx context.Context, s *config.Settings) (snp.Source, error) {
	if s.ReportSource == config.VirtualTPM {
		return nil, errors.New("report_source is vtpm")
	}
	source, err := snp.NewSource(s.ReportSource)
	if err != nil {
		return nil, config.WrongSetting(fmt.Errorf("report_source: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, s.RequestTimeout)
	defer cancel()
	if _, err := source.Report(ctx, snp.ReportData{}); err != nil {
		return nil, err
	}
	return source, nil
}

// listen opens a socket for members of the group.
func (o agentOptions) listen(ctx context.Context, name, device string, log *slog.Logger) (net.Listener, error) {
	path := filepath.Join(o.dir, name)
	opened, err := server.Listen(ctx, "unix:"+path, socketMode)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	socket := opened.Sockets()[0]
	if err := server.Lend(path, o.group); err != nil {
		return nil, errors.Join(cli.BadUsage(fmt.Errorf("--group: %w", err)), socket.Close())
	}
	log.Info("lending", "device", device, "socket", path, "group", o.group)
	return socket, nil
}

// copyLog copies the whole event log. If there is none, it removes the copy of an earlier boot.
func (o agentOptions) copyLog(from string, log *slog.Logger) error {
	to := filepath.Join(o.dir, "event-log")
	content, err := config.ReadBounded(from, vtpm.MaxLog)
	if errors.Is(err, os.ErrNotExist) {
		log.Warn("the node has no event log", "path", from)
		return removeLog(to)
	}
	if err != nil {
		log.Warn("the event log cannot be read; it is not lent", "path", from, "error", err.Error())
		return removeLog(to)
	}
	file, err := cli.NewPendingFile(to, cli.PublicMode)
	if err != nil {
		return err
	}
	if err := file.Write(content); err != nil {
		file.Discard()
		return err
	}
	return file.Commit()
}

func removeLog(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (l *lender) run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	if l.tpm != nil {
		group.Go(func() error { return l.agent.ServeTPM(running, l.tpm) })
	}
	if l.reports != nil {
		group.Go(func() error { return l.agent.ServeReports(running, l.reports) })
	}
	return group.Wait()
}
