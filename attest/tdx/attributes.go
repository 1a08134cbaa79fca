package tdx

import (
	"errors"
	"fmt"
)

// ErrAttributes means that a TD may be read, changed or moved by its host.
var ErrAttributes = errors.New("checking TD attributes")

// Attributes is TDATTRIBUTES, how the TD was configured at its start (ABI, table
// ATTRIBUTES). Bits 7:0 are the group TUD, TD under debug.
type Attributes uint64

// Debug reports whether the host may debug the TD and so read and write its memory (bit 0).
func (a Attributes) Debug() bool { return a.bit(0) }

// SEPTVEDisable reports whether a violation of the secure page table ends the TD instead of
// raising an exception in it (bit 28).
func (a Attributes) SEPTVEDisable() bool { return a.bit(28) }

// Migratable reports whether a migration TD may move the TD to another machine (bit 29).
func (a Attributes) Migratable() bool { return a.bit(29) }

// PKS reports whether supervisor protection keys are available (bit 30).
func (a Attributes) PKS() bool { return a.bit(30) }

// KeyLocker reports whether Key Locker is available (bit 31).
func (a Attributes) KeyLocker() bool { return a.bit(31) }

// Perfmon reports whether performance monitoring is available (bit 63).
func (a Attributes) Perfmon() bool { return a.bit(63) }

// Check returns an error if the TD is debuggable or migratable. A set bit of the group TUD
// other than DEBUG is an error too: each of them lets the host observe the TD. The error
// wraps [ErrAttributes].
func (a Attributes) Check() error {
	switch {
	case a.Debug():
		return fmt.Errorf("%w: the host may debug the TD (DEBUG)", ErrAttributes)
	case a&0xff != 0:
		return fmt.Errorf("%w: the TD is under debug or profiling (TUD is %#02x)", ErrAttributes, uint64(a&0xff))
	case a.Migratable():
		return fmt.Errorf("%w: the TD may be moved to another machine (MIGRATABLE)", ErrAttributes)
	}
	return nil
}

func (a Attributes) bit(n uint) bool { return a>>n&1 != 0 }

// String returns 16 hexadecimal digits, the most significant first. Tokens of Azure
// Attestation have the bytes in the opposite order.
func (a Attributes) String() string { return fmt.Sprintf("%016x", uint64(a)) }
