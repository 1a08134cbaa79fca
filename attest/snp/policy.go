package snp

import "fmt"

// GuestPolicy is POLICY, what the guest's owner allows the host to do. The firmware
// enforces it for the lifetime of the guest. Bits follow AMD 56860, table Guest
// Policy. Bit 17 is reserved and always one.
type GuestPolicy uint64

// ABIMinor returns the lowest minor ABI version that may run the guest (bits 7:0).
func (p GuestPolicy) ABIMinor() uint8 { return uint8(p) } // #nosec G115 -- the low byte is meant

// ABIMajor returns the lowest major ABI version that may run the guest (bits 15:8).
func (p GuestPolicy) ABIMajor() uint8 { return uint8(p >> 8) } // #nosec G115 -- the second byte is meant

// SMT reports whether the host may use simultaneous multithreading (bit 16).
func (p GuestPolicy) SMT() bool { return p.bit(16) }

// MigrationAgent reports whether the guest may have a migration agent (bit 18).
func (p GuestPolicy) MigrationAgent() bool { return p.bit(18) }

// Debug reports whether the host may debug the guest and so read its memory (bit 19).
func (p GuestPolicy) Debug() bool { return p.bit(19) }

// SingleSocket reports whether the guest may run on one socket only (bit 20).
func (p GuestPolicy) SingleSocket() bool { return p.bit(20) }

// CXL reports whether Compute Express Link devices and memory are allowed (bit 21).
func (p GuestPolicy) CXL() bool { return p.bit(21) }

// AES256XTS reports whether memory encryption must be AES-256-XTS (bit 22).
func (p GuestPolicy) AES256XTS() bool { return p.bit(22) }

// RAPLDisabled reports whether running average power limit must be off (bit 23).
func (p GuestPolicy) RAPLDisabled() bool { return p.bit(23) }

// CiphertextHiding reports whether DRAM ciphertext must be hidden (bit 24).
func (p GuestPolicy) CiphertextHiding() bool { return p.bit(24) }

// PageSwapDisabled reports whether the host may not move or swap pages (bit 25).
func (p GuestPolicy) PageSwapDisabled() bool { return p.bit(25) }

func (p GuestPolicy) bit(n uint) bool { return p>>n&1 != 0 }

func (p GuestPolicy) String() string { return fmt.Sprintf("%#x", uint64(p)) }
