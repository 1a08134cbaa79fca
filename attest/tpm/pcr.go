package tpm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"skr/attest/vtpm"
)

// perRead is the maximum number of digests in a TPML_DIGEST (part 2, 10.9.1).
const perRead = 8

var errEmpty = errors.New("no PCR is selected")

// bank returns a selection of registers of the SHA-256 bank.
func bank(s vtpm.Selection) tpm2.TPMLPCRSelection {
	bitmap := []byte{byte(s & 0xff), byte(s >> 8 & 0xff), byte(s >> 16 & 0xff)}
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: bitmap}}}
}

// selects reports whether a TPM's list is exactly that selection.
func selects(list tpm2.TPMLPCRSelection, s vtpm.Selection) bool {
	want := bank(s).PCRSelections[0]
	return len(list.PCRSelections) == 1 &&
		list.PCRSelections[0].Hash == want.Hash && slices.Equal(list.PCRSelections[0].PCRSelect, want.PCRSelect)
}

// PCRs reads the registers. The values are not signed: see [TPM.Quote].
func (t *TPM) PCRs(ctx context.Context, s vtpm.Selection) (values vtpm.PCRs, err error) {
	err = t.do(ctx, "reading PCRs", func(x *exchange) (err error) {
		values, err = readPCRs(x, s)
		return err
	})
	return values, err
}

func readPCRs(x *exchange, s vtpm.Selection) (vtpm.PCRs, error) {
	if s == 0 {
		return nil, errEmpty
	}
	values := make(vtpm.PCRs)
	for some := range slices.Chunk(s.List(), perRead) {
		if err := readSome(x, some, values); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func readSome(x *exchange, indices []int, into vtpm.PCRs) error {
	s, err := vtpm.Select(indices...)
	if err != nil {
		return err
	}
	answer, err := run(x, pcrReadCommand(s))
	if err != nil {
		return err
	}
	digests := answer.PCRValues.Digests
	if !selects(answer.PCRSelectionOut, s) || len(digests) != len(indices) {
		return fmt.Errorf("%s left registers out: has the TPM a SHA-256 bank?", nameOf(tpm2.TPMCCPCRRead))
	}
	for i, index := range indices {
		if len(digests[i].Buffer) != sha256.Size {
			return fmt.Errorf("%s gave PCR %d with %d bytes", nameOf(tpm2.TPMCCPCRRead), index, len(digests[i].Buffer))
		}
		into[index] = vtpm.Digest(digests[i].Buffer)
	}
	return nil
}

// digestOf returns the hash over the registers, as in quotes and policies (part 1, 17.5).
func digestOf(values vtpm.PCRs) [sha256.Size]byte {
	h := sha256.New()
	for _, index := range values.Sorted() {
		value := values[index]
		h.Write(value[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
