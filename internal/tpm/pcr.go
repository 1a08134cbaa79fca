package tpm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

const (
	pcrCount = 24 // PC Client Platform TPM Profile, 4.6
	// perRead is how many digests a TPML_DIGEST holds (part 2, 10.9.1).
	perRead = 8
)

// Selection is a set of PCRs of the SHA-256 bank. The zero value is empty, which
// no operation takes.
type Selection struct{ bitmap [pcrCount / 8]byte }

var errEmpty = errors.New("no PCR is selected")

// Select makes the set of these PCRs, 0 to 23.
func Select(indices ...int) (Selection, error) {
	var s Selection
	for _, i := range indices {
		if i < 0 || i >= pcrCount {
			return Selection{}, fmt.Errorf("tpm: selecting PCRs: there is no PCR %d", i)
		}
		s.bitmap[i/8] |= 1 << (i % 8)
	}
	if s == (Selection{}) {
		return Selection{}, fmt.Errorf("tpm: selecting PCRs: %w", errEmpty)
	}
	return s, nil
}

// Indices are the PCRs in ascending order.
func (s Selection) Indices() []int {
	var indices []int
	for i := range pcrCount {
		if s.bitmap[i/8]&(1<<(i%8)) != 0 {
			indices = append(indices, i)
		}
	}
	return indices
}

func (s Selection) list() tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: s.bitmap[:]}}}
}

// is says whether a TPM's list selects exactly the same.
func (s Selection) is(list tpm2.TPMLPCRSelection) bool {
	return len(list.PCRSelections) == 1 &&
		list.PCRSelections[0].Hash == tpm2.TPMAlgSHA256 && slices.Equal(list.PCRSelections[0].PCRSelect, s.bitmap[:])
}

// PCR is one register of the SHA-256 bank.
type PCR struct {
	Index  int
	Digest [sha256.Size]byte
}

// PCRs reads the registers, in ascending order. Nothing vouches for what is read:
// that is what [TPM.Quote] is for.
func (t *TPM) PCRs(ctx context.Context, s Selection) (values []PCR, err error) {
	err = t.do(ctx, "reading PCRs", func(x *exchange) (err error) {
		values, err = readPCRs(x, s)
		return err
	})
	return values, err
}

func readPCRs(x *exchange, s Selection) ([]PCR, error) {
	if s == (Selection{}) {
		return nil, errEmpty
	}
	var values []PCR
	for some := range slices.Chunk(s.Indices(), perRead) {
		read, err := readSome(x, some)
		if err != nil {
			return nil, err
		}
		values = append(values, read...)
	}
	return values, nil
}

func readSome(x *exchange, indices []int) ([]PCR, error) {
	s, err := Select(indices...)
	if err != nil {
		return nil, err
	}
	answer, err := run(x, tpm2.PCRRead{PCRSelectionIn: s.list()})
	if err != nil {
		return nil, err
	}
	digests := answer.PCRValues.Digests
	if !s.is(answer.PCRSelectionOut) || len(digests) != len(indices) {
		return nil, fmt.Errorf("%s left registers out: has the TPM a SHA-256 bank?", nameOf(tpm2.TPMCCPCRRead))
	}
	values := make([]PCR, 0, len(indices))
	for i, index := range indices {
		if len(digests[i].Buffer) != sha256.Size {
			return nil, fmt.Errorf("%s gave PCR %d with %d bytes", nameOf(tpm2.TPMCCPCRRead), index, len(digests[i].Buffer))
		}
		values = append(values, PCR{index, [sha256.Size]byte(digests[i].Buffer)})
	}
	return values, nil
}

// digestOf is the hash over the registers, as quotes and policies have it
// (part 1, 17.5).
func digestOf(values []PCR) [sha256.Size]byte {
	h := sha256.New()
	for _, v := range values {
		h.Write(v.Digest[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}
