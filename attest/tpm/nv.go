package tpm

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Index is the handle of an area of the TPM's non-volatile memory.
type Index uint32

// The indices of an Azure machine (microsoft/openvmm, vm/devices/tpm/tpm_lib).
const (
	// HCLReport contains the paravisor's report, on confidential machines only. Its size
	// depends on the firmware version. Zeros follow the report.
	HCLReport Index = 0x01400001
	// UserDataIndex contains the 64 bytes of user data for the next report.
	UserDataIndex Index = 0x01400002
	// AKCertificate contains the certificate of the attestation key, DER, followed by zeros.
	AKCertificate Index = 0x01C101D0
)

const (
	// maxChunk is the size that every TPM supports in one TPM2_NV_Read (part 2,
	// MAX_NV_BUFFER_SIZE of the PC Client profile).
	maxChunk = 1024
	// maxIndex bounds an index in bytes. The largest known one has 4096.
	maxIndex = 16 << 10
)

func (i Index) String() string { return fmt.Sprintf("0x%08X", uint32(i)) }

// Exists reports whether the index is defined. It may not have been written.
func (t *TPM) Exists(ctx context.Context, index Index) (exists bool, err error) {
	err = t.do(ctx, fmt.Sprintf("looking for index %s", index), func(x *exchange) error {
		_, err := openArea(x, index)
		exists = err == nil
		if errors.Is(err, ErrAbsent) {
			return nil
		}
		return err
	})
	return exists, err
}

// ReadIndex returns all bytes of the index. The error is [ErrAbsent] if the index is not
// defined, and [ErrUnwritten] if it was not written.
func (t *TPM) ReadIndex(ctx context.Context, index Index) (content []byte, err error) {
	err = t.do(ctx, fmt.Sprintf("reading index %s", index), func(x *exchange) (err error) {
		content, err = readIndex(x, index)
		return err
	})
	return content, err
}

// ReadAKCertificate returns the attestation key's certificate, DER, without the zeros after it.
// The error is [ErrAbsent] if the index is not defined or was not written, as on a machine whose
// provisioning is not finished.
func (t *TPM) ReadAKCertificate(ctx context.Context) ([]byte, error) {
	content, err := t.ReadIndex(ctx, AKCertificate)
	if errors.Is(err, ErrUnwritten) {
		err = fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	if err != nil {
		return nil, err
	}
	input := cryptobyte.String(content)
	var certificate cryptobyte.String
	if !input.ReadASN1Element(&certificate, asn1.SEQUENCE) {
		return nil, fmt.Errorf("reading index %s: it holds no certificate", AKCertificate)
	}
	return certificate, nil
}

// area is an index that is defined.
type area struct {
	index  tpm2.NamedHandle
	public *tpm2.TPMSNVPublic
}

func openArea(x *exchange, index Index) (*area, error) {
	answer, err := run(x, readAreaCommand(index))
	if errors.Is(err, tpm2.TPMRCHandle) {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	if err != nil {
		return nil, err
	}
	public, err := answer.NVPublic.Contents()
	if err != nil {
		return nil, malformed(tpm2.TPMCCNVReadPublic, err)
	}
	if public.NVIndex != tpm2.TPMHandle(index) {
		return nil, malformed(tpm2.TPMCCNVReadPublic, fmt.Sprintf("it is about index %s", Index(public.NVIndex)))
	}
	if public.DataSize > maxIndex {
		return nil, fmt.Errorf("the index has %d bytes, more than %d", public.DataSize, maxIndex)
	}
	return &area{tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: answer.NVName}, public}, nil
}

func readIndex(x *exchange, index Index) ([]byte, error) {
	a, err := openArea(x, index)
	if err != nil {
		return nil, err
	}
	return a.read(x)
}

// read starts at offset 0, because that read makes the paravisor renew its report.
func (a *area) read(x *exchange) ([]byte, error) {
	content := make([]byte, 0, a.public.DataSize)
	for len(content) < int(a.public.DataSize) {
		chunk := min(maxChunk, int(a.public.DataSize)-len(content))
		answer, err := run(x, readCommand(a.index, uint16(chunk), uint16(len(content)))) //nolint:gosec // at most 1024, and 16384
		if errors.Is(err, tpm2.TPMRCNVUninitialized) {
			return nil, fmt.Errorf("%w: %w", ErrUnwritten, err)
		}
		if err != nil {
			return nil, err
		}
		if len(answer.Data.Buffer) != chunk {
			return nil, fmt.Errorf("%s gave %d bytes, asked for %d", nameOf(tpm2.TPMCCNVRead), len(answer.Data.Buffer), chunk)
		}
		content = append(content, answer.Data.Buffer...)
	}
	return content, nil
}
