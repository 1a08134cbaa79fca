package tpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// UserData is what a fresh HCL report carries: chosen by whoever may write the
// TPM, which is every administrator of the node.
type UserData [64]byte

// Fresh asks for a report that was made after the question.
type Fresh struct {
	// UserData is unique to the question: a nonce, or a hash over one.
	UserData UserData
	// Carries says whether an HCL report carries the user data.
	Carries func(report []byte, data UserData) (bool, error)
	// Sleep waits; nil means time.
	Sleep func(context.Context, time.Duration) error
}

// The paravisor makes no second report within two seconds and serves the old one
// meanwhile (microsoft/openvmm, vm/devices/tpm/tpm_device). Pauses double, so that
// one of them is long enough also if each reading should begin the two seconds anew
// (UNCONFIRMED for the closed paravisor).
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 4 * time.Second
)

// FreshReport writes the user data and gives the content of [HCLReport] once it
// carries them: at once, or after about two seconds where another report was made
// shortly before. Another program that writes user data of its own delays it; after
// about eight seconds that is an error.
func (t *TPM) FreshReport(ctx context.Context, f Fresh) ([]byte, error) {
	if err := take(ctx, t.report); err != nil {
		return nil, fmt.Errorf("tpm: getting a fresh report: %w", err)
	}
	defer func() { <-t.report }()
	if f.Sleep == nil {
		f.Sleep = sleep
	}
	for pause := firstPause; ; pause *= 2 {
		report, err := t.attempt(ctx, f)
		if report != nil || err != nil {
			return report, err
		}
		if pause > lastPause {
			return nil, errors.New("tpm: getting a fresh report: the report still carries other user data; does another program write them?")
		}
		if err := f.Sleep(ctx, pause); err != nil {
			return nil, fmt.Errorf("tpm: getting a fresh report: %w", err)
		}
	}
}

// attempt gives nil where the report is not fresh yet.
func (t *TPM) attempt(ctx context.Context, f Fresh) (report []byte, err error) {
	err = t.do(ctx, "getting a fresh report", func(x *exchange) error {
		hcl, err := openArea(x, HCLReport)
		if err != nil {
			return err
		}
		if err := putUserData(x, f.UserData); err != nil {
			return err
		}
		content, err := hcl.read(x)
		if err != nil {
			return err
		}
		fresh, err := f.Carries(content, f.UserData)
		if fresh {
			report = content
		}
		return err
	})
	return report, err
}

// putUserData leaves an index that already holds the data alone.
func putUserData(x *exchange, data UserData) error {
	a, err := openArea(x, UserDataIndex)
	switch {
	case errors.Is(err, ErrAbsent):
		return defineUserData(x, data)
	case err != nil:
		return err
	case int(a.public.DataSize) != len(data):
		if _, err := run(x, tpm2.NVUndefineSpace{AuthHandle: owner, NVIndex: a.index}); err != nil {
			return err
		}
		return defineUserData(x, data)
	}
	present, err := a.read(x)
	switch {
	case err != nil && !errors.Is(err, ErrAbsent):
		return err
	case err == nil && bytes.Equal(present, data[:]):
		return nil
	}
	return a.write(x, data[:])
}

// defineUserData makes the index with the attributes that Azure's own clients give
// it; without OwnerRead the paravisor cannot read it.
func defineUserData(x *exchange, data UserData) error {
	public := tpm2.TPMSNVPublic{
		NVIndex:    tpm2.TPMHandle(UserDataIndex),
		NameAlg:    tpm2.TPMAlgSHA256,
		Attributes: tpm2.TPMANV{OwnerRead: true, OwnerWrite: true, AuthRead: true, AuthWrite: true, NT: tpm2.TPMNTOrdinary},
		DataSize:   uint16(len(data)),
	}
	if _, err := run(x, tpm2.NVDefineSpace{AuthHandle: owner, PublicInfo: tpm2.New2B(public)}); err != nil {
		return err
	}
	a, err := openArea(x, UserDataIndex)
	if err != nil {
		return err
	}
	return a.write(x, data[:])
}

func (a *area) write(x *exchange, content []byte) error {
	_, err := run(x, tpm2.NVWrite{AuthHandle: owner, NVIndex: a.index, Data: tpm2.TPM2BMaxNVBuffer{Buffer: content}})
	return err
}

func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
