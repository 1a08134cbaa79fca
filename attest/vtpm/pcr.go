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
	// PCRCount is how many PCRs a TPM has (PFP, "PCR Usage").
	PCRCount = 24
	// The first and last PCR of a dynamic launch: all ones until there is one (PFP, "PCR Usage").
	firstDynamic, lastDynamic = 17, 22
)

// Digest is a SHA-256: of an event, or the value of a PCR.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads 64 hexadecimal digits of either case.
func ParseDigest(text string) (Digest, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return Digest{}, fmt.Errorf("parsing a digest: %.80q is not 64 hexadecimal digits", text)
	}
	return Digest(raw), nil
}

// extend is what a PCR of value d becomes by an event (TPM2, section TPM2_PCR_Extend).
func (d Digest) extend(event Digest) Digest { return sha256.Sum256(append(d[:], event[:]...)) }

// initial is the value of a PCR when the machine starts.
func initial(pcr int) Digest {
	var value Digest
	if pcr >= firstDynamic && pcr <= lastDynamic {
		for i := range value {
			value[i] = 0xff
		}
	}
	return value
}

// PCRs are values of the SHA-256 bank by PCR.
type PCRs map[int]Digest

// digest is over the values of selected PCRs in ascending order (TPM2, section TPMS_QUOTE_INFO).
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

// Sorted are the PCRs that have a value, ascending.
func (p PCRs) Sorted() []int { return slices.Sorted(maps.Keys(p)) }

// Selection is a set of PCRs, as a bitmap.
type Selection uint32

// Select makes a set. Its error names a PCR that does not exist.
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

// Has says whether the PCR is in the set.
func (s Selection) Has(pcr int) bool { return pcr >= 0 && s>>pcr&1 != 0 }

// List are the PCRs of the set, ascending.
func (s Selection) List() []int {
	var list []int
	for pcr := range PCRCount {
		if s.Has(pcr) {
			list = append(list, pcr)
		}
	}
	return list
}

// String is as "0-7, 11"; "none" for the empty set.
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
