package main

import (
	"context"
	"time"

	"skr/internal/handover"
	"skr/internal/sidecar/follow"
	"skr/internal/supervisor"
)

// firstRepeat is the wait after a new version could not be handed over for the first time.
const firstRepeat = time.Second

// changes follows the keys until ctx ends, and returns what their new versions mean. It is nil if
// nothing is to follow.
func (e *execution) changes(ctx context.Context) <-chan supervisor.Change {
	aliases := e.keys.aliases()
	if e.plan.rotation.wanted() && len(aliases) == 0 {
		e.log.Warn("no key is followed: each envelope names the version of its key")
	}
	if !e.plan.rotation.wanted() || len(aliases) == 0 {
		e.keys.wipe()
		return nil
	}
	f := follow.New(follow.Config{
		Aliases: aliases, Held: aliases, Release: e.keys.again(), Every: e.plan.rotation.every, Timeout: e.timeout, Logger: e.log,
	})
	news, changes := f.Subscribe(aliases), make(chan supervisor.Change)
	e.followers.Go(func() { f.Run(ctx) })
	e.followers.Go(func() { e.watch(ctx, f, news, changes) })
	return changes
}

// watch prepares a change for each new version. If that fails, the program keeps what it has, and
// watch tries again.
func (e *execution) watch(ctx context.Context, f *follow.Follower, news <-chan struct{}, changes chan<- supervisor.Change) {
	var repeat <-chan time.Time // nil unless the last attempt failed
	wait := firstRepeat
	for {
		select {
		case <-ctx.Done():
			return
		case <-news:
			if !e.keys.renew(f) && repeat == nil {
				continue
			}
		case <-repeat:
		}
		change, err := e.change(ctx)
		if err != nil {
			e.log.Warn("a new version of a key cannot be handed over; the program keeps the one that it has", "error", err.Error(), "retry_in", wait.String())
			repeat, wait = time.After(wait), min(2*wait, e.plan.rotation.every)
			continue
		}
		repeat, wait = nil, firstRepeat
		select {
		case changes <- change:
		case <-ctx.Done():
			change.Drop()
			return
		}
	}
}

// change replaces the files, and returns what to do with the program.
func (e *execution) change(ctx context.Context) (supervisor.Change, error) {
	d, err := e.prepare(ctx)
	if err != nil {
		return supervisor.Change{}, err
	}
	if err := d.WriteFiles(); err != nil {
		d.Close()
		return supervisor.Change{}, err
	}
	if !e.plan.rotation.restart {
		d.Close()
		e.log.Info("a key has another version; its files were replaced, and the program gets a signal", "signal", e.plan.rotation.signal.String())
		return supervisor.Change{Signal: e.plan.rotation.signal}, nil
	}
	e.log.Info("a key has another version; the program is restarted")
	return supervisor.Change{Again: &restart{e, d}}, nil
}

// restart is a start with secrets that are ready.
type restart struct {
	execution *execution
	delivery  *handover.Delivery
}

var _ supervisor.Again = (*restart)(nil)

func (r *restart) Start() error { return r.execution.start(r.delivery) }
func (r *restart) Drop()        { r.delivery.Close() }
