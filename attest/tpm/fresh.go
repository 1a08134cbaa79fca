package tpm

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// UserData is the user data of an HCL report. Any process that may write to the TPM can choose
// them, such as every administrator of the node.
type UserData [userDataSize]byte

const userDataSize = 64

// Fresh describes a request for a report that is newer than the request.
type Fresh struct {
	// UserData must be unique to the request: a nonce, or a hash over one.
	UserData UserData
	// Carries reports whether an HCL report contains the user data.
	Carries func(report []byte, data UserData) (bool, error)
	// Sleep waits; nil means time.
	Sleep func(context.Context, time.Duration) error
}

// pauses are the pauses of one round. The paravisor makes at most one report in two seconds and
// otherwise returns the old one (microsoft/openvmm, vm/devices/tpm/tpm_device). One pause is
// enough if no other process writes. The last one is longer than the three seconds that other
// clients wait for the closed-source paravisor.
var pauses = []time.Duration{2100 * time.Millisecond, 2100 * time.Millisecond, 3100 * time.Millisecond}

const (
	// rounds bounds how often the data are written again because another program
	// overwrote them. They take about a minute.
	rounds = 8
	// freshPatience is how long a process waits for its turn at the agent, which serves
	// one process at a time.
	freshPatience = 5 * time.Minute
)

// errOvertaken means that another process changed the index concurrently.
var errOvertaken = errors.New("another process changed the user data in between")

// FreshReport writes the user data and returns the content of [HCLReport] once it contains them:
// immediately, or after about two seconds if another report was made shortly before. With an
// agent, processes take turns. Without one, they overwrite each other's data, and each retries
// until its own data are in the report. The error is [ErrBusy] if that takes more than about a
// minute, or longer than ctx.
//
// FreshReport uses a connection of its own and does not wait for other operations of this
// process, because it needs none of the TPM's slots.
func (t *TPM) FreshReport(ctx context.Context, f Fresh) ([]byte, error) {
	if err := acquire(ctx, t.report); err != nil {
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

// round returns nil if the report is not fresh after all pauses. It uses one connection, because
// the agent's lease ends with the connection.
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

// attempt returns nil if the report is not fresh yet.
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
