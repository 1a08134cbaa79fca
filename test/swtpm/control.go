package swtpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/google/go-tpm/tpm2"
)

// Extend extends a register, as a program may after the start.
func (m *Machine) Extend(pcr uint32, measured []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.extend(event{pcr: pcr, kind: evIPL, data: measured}); err != nil {
		return fmt.Errorf("swtpm: extending PCR %d: %w", pcr, err)
	}
	return nil
}

// Loaded returns the number of objects and sessions that were not flushed.
func (m *Machine) Loaded() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := 0
	for _, first := range []uint32{0x80000000, 0x02000000, 0x03000000} { // transient objects, loaded and saved sessions
		answer, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 100}.Execute(m.tpm)
		if err != nil {
			return 0, fmt.Errorf("swtpm: counting handles: %w", err)
		}
		handles, err := answer.CapabilityData.Data.Handles()
		if err != nil {
			return 0, fmt.Errorf("swtpm: counting handles: %w", err)
		}
		count += len(handles.Handle)
	}
	return count, nil
}

// Reset restarts the TPM without restarting the machine: the NULL hierarchy
// gets new primary keys, and the registers are as at power-on.
func (m *Machine) Reset() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, step := range []struct {
		doing string
		do    func() error
	}{
		{"shutting down", func() error { _, err := tpm2.Shutdown{ShutdownType: tpm2.TPMSUClear}.Execute(m.tpm); return err }},
		{"powering on", m.power},
		{"starting", func() error { _, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(m.tpm); return err }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("swtpm: resetting: %s: %w", step.doing, err)
		}
	}
	return nil
}

// power cycles the TPM's power over swtpm's control socket: CMD_INIT without
// flags (swtpm_ioctls(3)).
func (m *Machine) power() error {
	control, err := net.Dial("unix", m.path("control"))
	if err != nil {
		return err
	}
	defer control.Close() //nolint:errcheck // the answer has arrived
	const initialise = 2
	request := binary.BigEndian.AppendUint32(nil, initialise)
	if _, err := control.Write(binary.BigEndian.AppendUint32(request, 0)); err != nil {
		return err
	}
	result := make([]byte, 4)
	if _, err := io.ReadFull(control, result); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(result) != 0 {
		return errors.New("swtpm refused CMD_INIT")
	}
	return nil
}
