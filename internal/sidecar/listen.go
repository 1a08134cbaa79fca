package sidecar

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"skr/internal/config"
	"skr/internal/sidecar/keyvault"
	"skr/internal/sidecar/server"
	"skr/internal/sidecar/sshagent"
)

// listeners are the listeners for applications. Those that the settings do not have are nil.
type listeners struct {
	http, grpc, crypto, agent *server.Listener

	identity *keyvault.Identity // of crypto
}

// listen opens the listeners of the settings. If one fails, it closes the other.
func (s *service) listen(ctx context.Context) (l listeners, err error) {
	open := func(field, address string) *server.Listener {
		if address == "" || err != nil {
			return nil
		}
		var opened *server.Listener
		if opened, err = server.Listen(ctx, address, socketMode(s.access)); err != nil {
			err = config.WrongSetting(fmt.Errorf("%s: %w", field, err))
		}
		return opened
	}
	l.http = open("listen", s.settings.Listen)
	l.grpc = open("grpc_listen", s.settings.GRPCListen)
	l.crypto = open("crypto_listen", s.settings.CryptoListen)
	l.agent = open("ssh_agent_listen", s.settings.SSHAgentListen)
	if l.crypto != nil {
		l.identity, err = keyvault.NewIdentity(s.settings.CryptoDir, s.settings.CryptoNames, s.access.Binds(), time.Now())
		if err != nil {
			err = config.WrongSetting(fmt.Errorf("crypto_dir: %w", err))
		}
	}
	if err != nil {
		return listeners{}, errors.Join(err, l.close())
	}
	return l, nil
}

func (l listeners) close() (err error) {
	for _, one := range []*server.Listener{l.http, l.grpc, l.crypto, l.agent} {
		if one != nil {
			err = errors.Join(err, one.Close())
		}
	}
	return err
}

// String returns the addresses: "127.0.0.1:8080, gRPC on 127.0.0.1:50000".
func (l listeners) String() string {
	var addresses []string
	if l.http != nil {
		addresses = append(addresses, l.http.String())
	}
	if l.grpc != nil {
		addresses = append(addresses, "gRPC on "+l.grpc.String())
	}
	if l.crypto != nil {
		addresses = append(addresses, "keys in use on "+l.crypto.String())
	}
	if l.agent != nil {
		addresses = append(addresses, "SSH agent on "+l.agent.String())
	}
	return strings.Join(addresses, ", ")
}

// serve serves until ctx ends or a listener fails.
func (s *service) serve(ctx context.Context, l listeners, local *server.Server) error {
	group, running := errgroup.WithContext(ctx)
	if l.http != nil {
		group.Go(func() error { return local.Serve(running, l.http) })
	}
	if l.grpc != nil {
		group.Go(func() error { return local.ServeGRPC(running, l.grpc) })
	}
	if l.crypto != nil {
		handler := keyvault.New(keyvault.Config{Local: local, Identity: l.identity})
		group.Go(func() error { return local.ServeAs(running, l.crypto, l.identity.TLS(), handler) })
	}
	if l.agent != nil {
		config := sshagent.Config{Keys: local, Grace: s.settings.StopGrace, Logger: s.log}
		for _, socket := range l.agent.Sockets() {
			group.Go(func() error { return sshagent.Serve(running, s.agent.Listener(socket), config) })
		}
	}
	return group.Wait()
}
