package server

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"skr/api"
	"skr/internal/crash"
	"skr/internal/keyuse"
	"skr/internal/observe/journal"
	"skr/internal/sidecar/access"
)

// Signer is a key that a caller may sign with.
type Signer struct {
	// Alias and Version name the key.
	Alias, Version string
	// Public is an *rsa.PublicKey or *ecdsa.PublicKey.
	Public crypto.PublicKey
}

// ErrHangUp asks to close the connection of a peer that is refused again and again.
var ErrHangUp = errors.New("too many answers to this peer are delayed")

// sshMethod is the method of requests of an SSH agent in the log.
const sshMethod = "ssh-agent"

const (
	signerTimeout = 15 * time.Second // for one key of a list: another one need not wait for a vault that hangs
	signersAtOnce = 8
)

// Signers returns the keys that the caller may sign with, for the SSH agent. The context has
// the credentials of its peer. A key that cannot be had does not hide the others.
func (s *Server) Signers(ctx context.Context) (signers []Signer, err error) {
	err = s.request(ctx, api.RoutePublic, func(ctx context.Context, _ *exchange) error {
		signers = s.signers(ctx)
		return nil
	})
	return signers, err
}

func (s *Server) signers(ctx context.Context) (signers []Signer) {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(signersAtOnce)
	for _, alias := range slices.Sorted(maps.Keys(s.config.Aliases)) {
		if permitBy(alias, s.config.Rights[alias], keyuse.Sign) != nil || s.config.Access.MayHave(access.From(ctx), alias) != nil {
			continue
		}
		group.Go(func() error {
			signer, found, err := s.signer(ctx, alias)
			if err != nil && s.refusalLog.logs(access.From(ctx).Limit(), classify(err).code, api.RoutePublic, err) {
				s.config.Logger.Warn("the SSH agent cannot offer this key", "alias", alias, "error", shorten(err.Error()))
			}
			if found {
				mu.Lock()
				defer mu.Unlock()
				signers = append(signers, signer)
			}
			return nil
		})
	}
	_ = group.Wait() // no function returns an error
	slices.SortFunc(signers, func(a, b Signer) int { return strings.Compare(a.Alias, b.Alias) })
	return signers
}

// signer returns false for a key that has no signatures.
func (s *Server) signer(ctx context.Context, alias string) (signer Signer, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, signerTimeout)
	defer cancel()
	err = crash.Guard(func() error {
		key, err := s.publicKey(ctx, alias, "")
		if err != nil {
			return err
		}
		signer = Signer{Alias: alias, Version: key.Kid[strings.LastIndexByte(key.Kid, '/')+1:]}
		signer.Public, err = key.PublicKey()
		found = err == nil && (len(key.KeyOps) == 0 || slices.Contains(key.KeyOps, string(keyuse.Sign)))
		return err
	})
	return signer, found, err
}

// SignDigest signs a digest with a key of [Server.Signers].
func (s *Server) SignDigest(ctx context.Context, with Signer, algorithm string, digest []byte) (signature []byte, err error) {
	err = s.request(ctx, api.RouteSign, func(ctx context.Context, x *exchange) error {
		in := keyuse.Input{Algorithm: algorithm, Value: digest}
		kid, results, err := s.perform(ctx, keyuse.Sign, task{alias: with.Alias, version: with.Version, inputs: []keyuse.Input{in}})
		if err == nil {
			x.key, signature = kid, results[0].output.Value
		}
		return err
	})
	return signature, err
}

// request is ServeHTTP for a request of the SSH agent: its caller must be one who may use the
// route and takes a place, and it has a deadline and a line of log.
func (s *Server) request(ctx context.Context, route string, work func(context.Context, *exchange) error) error {
	x := &exchange{id: rand.Text(), begin: s.config.Now(), path: route, method: sshMethod}
	s.config.Called(route)
	ctx, notes := journal.With(ctx, x.id)
	err := s.admitted(ctx, x, work)
	v := reply{status: http.StatusOK, code: CodeOK}
	if err != nil {
		v = classify(err)
	} else {
		s.credit(x, notes.Notes())
	}
	x.end = s.config.Now()
	s.finish(ctx, x, v, err, notes.Notes())
	return err
}

func (s *Server) admitted(ctx context.Context, x *exchange, work func(context.Context, *exchange) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Deadline)
	defer cancel()
	done := journal.Begin(ctx, journal.Admit)
	leave, err := s.enter(ctx, nil, x)
	done(err)
	if err != nil {
		if !s.refusals.Wait(ctx, peerOf(ctx)) {
			err = errors.Join(err, ErrHangUp)
		}
		return err
	}
	defer leave()
	return crash.Guard(func() error { return work(access.With(ctx, x.caller), x) })
}
