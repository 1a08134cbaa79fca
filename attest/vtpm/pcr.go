package vtpm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const (
	// PCRCount is the number of PCRs of a TPM (PFP, "PCR Usage").
	PCRCount = 24
	// The first and last PCR of a dynamic launch, all ones before it (PFP, "PCR Usage").
	firstDynamic, lastDynamic = 17, 22
)

// Digest is a SHA-256: the digest of an event, or the value of a PCR.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest parses 64 hexadecimal digits of either case.
func ParseDigest(text string) (Digest, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return Digest{}, fmt.Errorf("parsing a digest: %.80q is not 64 hexadecimal digits", text)
	}
	return Digest(raw), nil
}

// extend returns the value of a PCR with value d after an event (TPM2, section TPM2_PCR_Extend).
func (d Digest) extend(event Digest) Digest { return sha256.Sum256(append(d[:], event[:]...)) }

// initial returns the value of a PCR when the machine starts.
func initial(pcr int) Digest {
	var value Digest
	if pcr >= firstDynamic && pcr <= lastDynamic {
		for i := range value {
			value[i] = 0xff
		}
	}
	return value
}

// PCRs contains values of the SHA-256 bank by PCR number.
type PCRs map[int]Digest

// digest returns the SHA-256 of the selected values in ascending order of PCR (TPM2, section
// TPMS_QUOTE_INFO).
func (p PCRs) digest(s Selection) (Digest, error) {
	hash := sha256.New()
	for _, pcr := range s.List() {
		value, found := p[pcr]
		if !found {
			return Digest{}, fmt.Errorf("the value of PCR %d is missing", pcr)
		}
		hash.Write(value[:])
	}
	return Digest(hash.Sum(nil)), nil
}

// Sorted returns the PCRs that have a value, in ascending order.
func (p PCRs) Sorted() []int { return slices.Sorted(maps.Keys(p)) }

// Selection is a set of PCRs, as a bitmap.
type Selection uint32

// Select returns the set of these PCRs. It refuses PCRs that do not exist.
func Select(pcrs ...int) (Selection, error) {
	var s Selection
	for _, pcr := range pcrs {
		if pcr < 0 || pcr >= PCRCount {
			return 0, fmt.Errorf("selecting PCRs: there is no PCR %d", pcr)
		}
		s |= 1 << pcr
	}
	return s, nil
}

// Has reports whether the PCR is in the set.
func (s Selection) Has(pcr int) bool { return pcr >= 0 && s>>pcr&1 != 0 }

// List returns the PCRs of the set in ascending order.
func (s Selection) List() []int {
	var list []int
	for pcr := range PCRCount {
		if s.Has(pcr) {
			list = append(list, pcr)
		}
	}
	return list
}

// String returns the set in a form such as "0-7, 11"; "none" for the empty set.
func (s Selection) String() string {
	var parts []string
	for pcr := 0; pcr < PCRCount; pcr++ {
		if !s.Has(pcr) {
			continue
		}
		first := pcr
		for s.Has(pcr + 1) {
			pcr++
		}
		part := strconv.Itoa(first)
		if pcr > first {
			part += "-" + strconv.Itoa(pcr)
		}
		parts = append(parts, part)
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}
