package vtpm

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// banks contains the names of the hash algorithms of PCRs (TPM2, section TPM_ALG_ID).
var banks = map[uint16]string{0x0004: "SHA-1", algorithmHash: "SHA-256", 0x000c: "SHA-384", 0x000d: "SHA-512", 0x0012: "SM3-256"}

func bankName(algorithm uint16) string {
	if name, known := banks[algorithm]; known {
		return name
	}
	return fmt.Sprintf("the algorithm %#x", algorithm)
}

// otherBankError means that an event log, a quote or PCR values lack SHA-256.
type otherBankError struct{ what, banks string }

func (e *otherBankError) Error() string {
	return fmt.Sprintf("it %s %s only; skr verifies the SHA-256 bank: turn that bank on in the TPM, restart, and collect the evidence again", e.what, e.banks)
}

func logOfOtherBanks(sizes map[uint16]uint64) error {
	names := make([]string, 0, len(sizes))
	for _, algorithm := range slices.Sorted(maps.Keys(sizes)) {
		names = append(names, bankName(algorithm))
	}
	return &otherBankError{"has digests of", strings.Join(names, " and ")}
}

// minSHA1Event is a TCG_PCR_EVENT without data: PCR, type, digest, size (PFP, "TCG_PCR_EVENT").
const minSHA1Event = 4 + 4 + sha1Size + 4

// isSHA1Log reports whether data is a log in the old form, which has no magic number: it
// consists of events that name a PCR and a known type, and at least one of them extends a PCR.
func isSHA1Log(data []byte) bool {
	c := cursor{rest: data, order: binary.LittleEndian}
	extends := false
	for len(c.rest) > 0 {
		pcr, kind := c.u32(), EventType(c.u32())
		digest := c.next(sha1Size)
		c.next(c.number(4))
		_, known := eventTypes[kind]
		if c.err != nil || !known || pcr >= PCRCount && kind != NoAction {
			return false
		}
		extends = extends || kind != NoAction && strings.Trim(string(digest), "\x00") != ""
	}
	return extends
}
