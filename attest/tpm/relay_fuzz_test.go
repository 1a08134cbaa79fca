package tpm

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// strict is a link to a TPM that refuses everything. Only this package's commands may reach it.
type strict struct{ t *testing.T }

var ownCommands = []tpm2.TPMCC{tpm2.TPMCCContextSave, tpm2.TPMCCContextLoad, tpm2.TPMCCFlushContext, tpm2.TPMCCReadPublic}

func (s strict) Write(command []byte) (int, error) {
	if shapeOf(command) == nil && !slices.Contains(ownCommands, codeOf(command)) {
		s.t.Errorf("%x reached the TPM", command)
	}
	return len(command), nil
}
func (strict) Read(answer []byte) (int, error) {
	return copy(answer, message(tpm2.TPMRCFailure, nil)), nil
}
func (strict) SetDeadline(time.Time) error { return nil }
func (strict) Close() error                { return nil }

// For any input, the relay returns and passes on only commands that this package issues.
func FuzzRelay(f *testing.F) {
	var all []byte
	for _, code := range []tpm2.TPMCC{
		tpm2.TPMCCNVReadPublic, tpm2.TPMCCNVDefineSpace, tpm2.TPMCCNVWrite, tpm2.TPMCCNVRead, tpm2.TPMCCCreatePrimary,
		tpm2.TPMCCStartAuthSession, tpm2.TPMCCPolicyPCR, tpm2.TPMCCRSADecrypt, tpm2.TPMCCCertify, tpm2.TPMCCFlushContext, tpm2.TPMCCQuote,
	} {
		command := shapes()[code][0].command
		f.Add(command)
		f.Add(command[:len(command)-1])
		f.Add(append(bytes.Clone(command), 0x80))
		all = append(all, command...)
	}
	f.Add(all)
	f.Add([]byte("\x80\x01\x00\x00\x00\x09\x00\x00\x01\x7e"))
	f.Add([]byte("\x80\x01\xff\xff\xff\xff\x00\x00\x01\x7e"))
	f.Fuzz(func(t *testing.T, said []byte) {
		opened := saying(nil)
		opened.dial = func(context.Context) (link, error) { return strict{t}, nil }
		ours, theirs := net.Pipe()
		relay, served := opened.NewRelay(), make(chan struct{})
		go func() { defer close(served); _ = relay.Serve(t.Context(), 1, theirs) }()
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		for len(said) > 0 { // one command at a time, by its own size
			size := len(said)
			if size >= headerSize {
				size = min(size, max(headerSize, int(binary.BigEndian.Uint32(said[2:]))))
			}
			if _, err := ours.Write(said[:size]); err != nil {
				break
			}
			said = said[size:]
		}
		_ = ours.Close()
		<-served
		if relay.contexts.x != nil || relay.commands.held || relay.lease.held || relay.guests.Load() != 0 {
			t.Error("the relay still holds resources")
		}
	})
}
