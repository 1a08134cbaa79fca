package vtpm

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
)

// SecureBootPCR is the PCR of secure boot (PFP, "PCR[7]: Secure Boot Policy Measurements").
const SecureBootPCR = 7

// GUIDs as in memory (UEFI specification 2.10, EFI_GLOBAL_VARIABLE and EFI_IMAGE_SECURITY_DATABASE_GUID).
var (
	globalVariable = [16]byte{0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c}
	imageSecurity  = [16]byte{0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f}
)

// SecureBoot is the state of secure boot according to the firmware.
type SecureBoot struct {
	// Enabled means that the firmware starts only what db allows.
	Enabled bool
	// Reason says why it is not enabled; "" if Enabled.
	Reason string
	// Databases are PK, KEK, db and dbx, if they were measured.
	Databases []Database

	value     []byte // of the variable SecureBoot
	measured  bool
	platform  bool // there is a PK; without one, the firmware is in setup mode
	debugging bool
}

// The separator divides what the firmware measures from what later software could add. It is
// recognised by its digest, because types can be forged.
var (
	separators = [][sha256.Size]byte{sha256.Sum256([]byte{0, 0, 0, 0}), sha256.Sum256([]byte{0xff, 0xff, 0xff, 0xff})}
	debugMode  = sha256.Sum256([]byte("UEFI Debug Mode")) // PFP, "PCR[7]: Secure Boot Policy Measurements"
)

// SecureBoot derives the state from the events of PCR 7 before its separator. The result
// proves something only after [EventLog.Explain] for a selection with PCR 7. SecureBoot
// returns an error if the log does not contain the state.
func (l *EventLog) SecureBoot() (SecureBoot, error) {
	state, err := l.secureBoot()
	if err != nil {
		return SecureBoot{}, fmt.Errorf("reading secure boot from the event log: %w", err)
	}
	return state, nil
}

func (l *EventLog) secureBoot() (SecureBoot, error) {
	var s SecureBoot
	for i, e := range l.events {
		if e.PCR != SecureBootPCR || e.Type == NoAction {
			continue
		}
		if e.isSeparator() {
			return s, s.conclude()
		}
		if err := s.add(e); err != nil {
			return s, fmt.Errorf("event %d: %w", i+1, err)
		}
	}
	return s, errors.New("PCR 7 has no separator, so that nothing tells what the firmware itself has measured")
}

func (e Event) isSeparator() bool {
	return e.Digest == separators[0] || e.Digest == separators[1]
}

// add applies one event of the firmware.
func (s *SecureBoot) add(e Event) error {
	switch {
	case e.Digest == debugMode:
		s.debugging = true
		return nil
	case e.Type == separator:
		return errors.New("the separator says that the firmware has failed")
	case e.Type != variableDriverConfig:
		return nil
	case e.Digest != sha256.Sum256(e.Data):
		return errors.New("its data does not have its digest")
	}
	v, err := parseVariable(e.Data)
	if err != nil {
		return err
	}
	return s.addVariable(v)
}

func (s *SecureBoot) addVariable(v variable) error {
	switch {
	case v.vendor == globalVariable && v.name == "SecureBoot":
		if s.measured {
			return errors.New("SecureBoot is there twice")
		}
		s.value, s.measured = v.value, true
	case v.vendor == globalVariable && (v.name == "PK" || v.name == "KEK"),
		v.vendor == imageSecurity && (v.name == "db" || v.name == "dbx"):
		s.platform = s.platform || v.name == "PK" && len(v.value) > 0
		s.Databases = append(s.Databases, parseDatabase(v.name, v.value))
	}
	return nil
}

func (s *SecureBoot) conclude() error {
	switch {
	case !s.measured:
		return errors.New("the firmware has not measured the variable SecureBoot")
	case !bytes.Equal(s.value, []byte{1}):
		s.Reason = "the variable SecureBoot is not 1"
	case !s.platform:
		s.Reason = "there is no platform key (PK): the firmware is in setup mode"
	case s.debugging:
		s.Reason = "the firmware has a debugger"
	}
	s.Enabled = s.Reason == ""
	return nil
}
