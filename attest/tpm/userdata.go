package tpm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// ErrUnusable means that the index of the user data cannot be used, and that the owner may not
// replace it.
var ErrUnusable = errors.New("the index of the user data is defined so that nothing can be written for the report, and its owner may not remove it: " +
	"remove it with the platform's authorization (tpm2_nvundefine -C p 0x01400002), or have the machine's TPM set up anew")

// putUserData writes the data unless the index already contains them. It defines the index if it
// is missing, and again if it cannot be used.
func putUserData(x *exchange, data UserData) error {
	a, err := openArea(x, UserDataIndex)
	if err == nil && !a.usable() {
		err = a.remove(x)
	}
	if errors.Is(err, ErrAbsent) {
		a, err = defineUserData(x)
	}
	if err != nil {
		return err
	}
	present, err := a.read(x)
	switch {
	case err == nil && bytes.Equal(present, data[:]):
		return nil
	case err != nil && !errors.Is(err, ErrUnwritten):
		return overtaken(err)
	}
	return overtaken(a.write(x, data[:]))
}

// usable reports whether the owner can write the data at once, and the paravisor, which reads as
// the owner, can read them. Other attributes differ between Azure's own clients.
func (a *area) usable() bool {
	p := a.public
	return p.DataSize == userDataSize && p.Attributes.NT == tpm2.TPMNTOrdinary &&
		p.Attributes.OwnerRead && p.Attributes.OwnerWrite && !p.Attributes.WriteLocked && !p.Attributes.ReadLocked
}

// remove returns [ErrAbsent] if the index does not exist.
func (a *area) remove(x *exchange) error {
	_, err := run(x, undefineCommand(a.index))
	switch {
	case err == nil:
		return ErrAbsent
	case errors.Is(err, tpm2.TPMRCHandle):
		return fmt.Errorf("%w: %w", ErrAbsent, err)
	case errors.Is(err, tpm2.TPMRCNVAuthorization), errors.Is(err, tpm2.TPMRCAttributes):
		return fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	return err
}

// defineUserData accepts an index that another process defined concurrently.
func defineUserData(x *exchange) (*area, error) {
	if _, err := run(x, defineCommand()); err != nil && !errors.Is(err, tpm2.TPMRCNVDefined) {
		return nil, err
	}
	a, err := openArea(x, UserDataIndex)
	if err == nil && !a.usable() {
		err = errOvertaken
	}
	if errors.Is(err, ErrAbsent) {
		return nil, fmt.Errorf("%w: %w", errOvertaken, err)
	}
	return a, err
}

func (a *area) write(x *exchange, content []byte) error {
	_, err := run(x, writeCommand(a.index, content))
	return err
}

// overtaken recognises that another process removed or replaced the index concurrently.
func overtaken(err error) error {
	for _, code := range []tpm2.TPMRC{tpm2.TPMRCHandle, tpm2.TPMRCNVRange, tpm2.TPMRCNVAuthorization, tpm2.TPMRCNVLocked} {
		if errors.Is(err, code) {
			return fmt.Errorf("%w: %w", errOvertaken, err)
		}
	}
	return err
}
