package tpm

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// UserData is what a fresh HCL report carries: chosen by whoever may write the
// TPM, which is every administrator of the node.
type UserData [userDataSize]byte

const userDataSize = 64

// Fresh asks for a report that was made after the question.
type Fresh struct {
	// UserData is unique to the question: a nonce, or a hash over one.
	UserData UserData
	// Carries reports whether an HCL report carries the user data.
	Carries func(report []byte, data UserData) (bool, error)
	// Sleep waits; nil means time.
	Sleep func(context.Context, time.Duration) error
}

// pauses of one round. The paravisor makes no second report within two seconds and
// serves the old one meanwhile (microsoft/openvmm, vm/devices/tpm/tpm_device), so that
// one pause is enough if nothing else writes. The last one is longer than three
// seconds, which is what other clients wait for the closed paravisor.
var pauses = []time.Duration{2100 * time.Millisecond, 2100 * time.Millisecond, 3100 * time.Millisecond}

const (
	// rounds bounds how often the data are written anew because another program
	// overwrote them: about a minute.
	rounds = 8
	// freshPatience is how long a process waits for its turn at the agent, which
	// serves one after the other.
	freshPatience = 5 * time.Minute
)

// errOvertaken means that another process changed the index in between.
var errOvertaken = errors.New("another process changed the user data in between")

// FreshReport writes the user data and returns the content of [HCLReport] once it
// carries them: at once, or after about two seconds where another report was made
// shortly before. Through an agent, processes take turns. Without one, they
// overwrite each other's data, and each tries again until its own came through. The
// error is [ErrBusy] if that takes more than about a minute, or longer than ctx.
//
// It has a connection of its own and waits for no other operation of this process:
// it uses none of the TPM's slots.
func (t *TPM) FreshReport(ctx context.Context, f Fresh) ([]byte, error) {
	if err := take(ctx, t.report); err != nil {
		return nil, fmt.Errorf("getting a fresh report: %w", err)
	}
	defer func() { <-t.report }()
	if f.Sleep == nil {
		f.Sleep = sleep
	}
	for range rounds {
		report, err := t.round(ctx, f)
		if report != nil || err != nil {
			return report, err
		}
	}
	return nil, fmt.Errorf("getting a fresh report: %w: the report still carries other user data; does another program write them?", ErrBusy)
}

// round returns nil if the report is not fresh after all pauses. One connection
// serves it, because the agent's lease ends with the connection.
func (t *TPM) round(ctx context.Context, f Fresh) (report []byte, err error) {
	err = t.connected(ctx, func(x *exchange) error {
		x.patience = freshPatience
		hcl, err := openArea(x, HCLReport)
		if err != nil {
			return err
		}
		for i := 0; ; i++ {
			if report, err = hcl.attempt(x, f); report != nil || err != nil || i == len(pauses) {
				return err
			}
			if endsWithin(ctx, pauses[i]) {
				return fmt.Errorf("%w: the next report comes in %s, and the request ends before", ErrBusy, pauses[i])
			}
			if err := f.Sleep(ctx, pauses[i]); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("getting a fresh report: %w", err)
	}
	return report, nil
}

// attempt returns nil where the report is not fresh yet.
func (a *area) attempt(x *exchange, f Fresh) ([]byte, error) {
	err := putUserData(x, f.UserData)
	if errors.Is(err, errOvertaken) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content, err := a.read(x)
	if err != nil {
		return nil, err
	}
	fresh, err := f.Carries(content, f.UserData)
	if err != nil || !fresh {
		return nil, err
	}
	return content, nil
}
