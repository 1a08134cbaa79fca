package lint

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"skr/releasepolicy"
)

// tdxAttributes has the bytes of TDATTRIBUTES, and the claims that begin with it one bit each.
const (
	tdxAttributes = "tdx_td_attributes"
	tdxDebugState = "dbgstat"
)

// attributeBits are the bits of TDATTRIBUTES that have a claim of their own (Intel TDX Module ABI,
// table ATTRIBUTES).
var attributeBits = map[string]uint{
	tdxDebug: 0, tdxAttributes + "_septve_disable": 28, tdxAttributes + "_protection_keys": 30,
	tdxAttributes + "_key_locker": 31, tdxAttributes + "_perfmon": 63,
}

// topic returns what a claim is about: claims of one topic can contradict each other.
func topic(claim string) string {
	prefix, name := "", claim
	if below, found := strings.CutPrefix(claim, isolation); found {
		prefix, name = isolation, below
	}
	if name == tdxDebugState || strings.HasPrefix(name, tdxAttributes) {
		return prefix + tdxAttributes
	}
	return claim
}

// attributesOf returns what a comparison says about TDATTRIBUTES: the bits in mask have their
// values in bits.
func attributesOf(c releasepolicy.Condition) (mask, bits uint64) {
	name, equals := strings.TrimPrefix(c.Claim, isolation), c.Operator == releasepolicy.Equals
	if name == tdxAttributes {
		raw, err := hex.DecodeString(c.Value.Text)
		if err != nil || len(raw) != 8 || !equals {
			return 0, 0
		}
		return ^uint64(0), binary.LittleEndian.Uint64(raw)
	}
	bit, known := attributeBits[name]
	set, unset := "true", "false"
	if name == tdxDebugState {
		set, unset = "enabled", "disabled"
	} else if !known {
		return 0, 0
	}
	switch {
	case equals && c.Value.Text == set, c.Operator == releasepolicy.NotEquals && c.Value.Text == unset:
		return 1 << bit, 1 << bit
	case equals && c.Value.Text == unset, c.Operator == releasepolicy.NotEquals && c.Value.Text == set:
		return 1 << bit, 0
	}
	return 0, 0
}

// otherAttributes reports whether two comparisons of a topic demand different values of a bit.
func otherAttributes(a, b releasepolicy.Condition) bool {
	maskA, bitsA := attributesOf(a)
	maskB, bitsB := attributesOf(b)
	return topic(a.Claim) == topic(b.Claim) && (bitsA^bitsB)&maskA&maskB != 0
}
