package inspect

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"skr/attest/snp"
)

// bit is a named bit, with what it means clear and set.
type bit struct {
	at       uint
	name     string
	meanings [2]string
}

// policyBits are those of AMD 56860, table Guest Policy.
var policyBits = []bit{
	{16, "SMT", [2]string{"two threads of a core may not run: the host must have SMT off", "the host may have SMT on"}},
	{18, "MIGRATE_MA", [2]string{"no migration agent may get the guest's memory", "a migration agent may get the guest's memory"}},
	{19, "DEBUG", [2]string{"the host may not debug the guest", "THE HOST MAY READ AND WRITE THE GUEST'S MEMORY"}},
	{20, "SINGLE_SOCKET", [2]string{"the guest may run on several sockets", "the guest may run on one socket only"}},
	{21, "CXL_ALLOW", [2]string{"no CXL devices or memory", "CXL devices and memory are allowed"}},
	{22, "MEM_AES_256_XTS", [2]string{"memory encryption by AES-128-XEX will do", "memory encryption must be AES-256-XTS"}},
	{23, "RAPL_DIS", [2]string{"the host may measure power (RAPL)", "power measurement (RAPL) must be off"}},
	{24, "CIPHERTEXT_HIDING_DRAM", [2]string{"the host may see the ciphertext of memory", "the ciphertext of memory must be hidden"}},
	{25, "PAGE_SWAP_DISABLE", [2]string{"the host may move and swap pages", "the host may not move or swap pages"}},
}

const (
	policyABI = 1<<16 - 1 // bits 15:0, the least ABI version
	policyOne = 1 << 17   // reserved, must be one
)

func guestPolicy(p snp.GuestPolicy) Section {
	s := Section{Title: "POLICY: what the guest's owner allows the host"}
	s.add("raw", fmt.Sprintf("%016x", uint64(p)), "")
	s.add("ABI", fmt.Sprintf("%d.%d", p.ABIMajor(), p.ABIMinor()), "least version of the firmware's interface")
	s.addBits(uint64(p), policyBits, policyABI|policyOne)
	return s
}

// platformBits are those of AMD 56860, table PLATFORM_INFO Field.
var platformBits = []bit{
	{0, "SMT_EN", [2]string{"SMT is off", "SMT is on"}},
	{1, "TSME_EN", [2]string{"transparent memory encryption is off", "transparent memory encryption is on"}},
	{2, "ECC_EN", [2]string{"memory has no error correction", "memory has error correction"}},
	{3, "RAPL_DIS", [2]string{"power measurement (RAPL) is on", "power measurement (RAPL) is off"}},
	{4, "CIPHERTEXT_HIDING_DRAM_EN", [2]string{"the ciphertext of memory is visible", "the ciphertext of memory is hidden"}},
	{5, "ALIAS_CHECK_COMPLETE", [2]string{"the firmware has not checked memory for aliases", "the firmware has found no aliases in memory"}},
	{7, "TIO_EN", [2]string{"trusted I/O (SEV-TIO) is off", "trusted I/O (SEV-TIO) is on"}},
}

func platformInfo(info uint64) Section {
	s := Section{Title: "PLATFORM_INFO: how the machine is set up"}
	s.add("raw", fmt.Sprintf("%016x", info), "")
	s.addBits(info, platformBits, 0)
	return s
}

// addBits adds each known bit, and the others that are set and not passed over.
func (s *Section) addBits(value uint64, known []bit, passOver uint64) {
	for _, b := range known {
		s.addFlag(b.name, value>>b.at&1 != 0, b.meanings)
		passOver |= 1 << b.at
	}
	if rest := value &^ passOver; rest != 0 {
		s.add("other bits", bitList(rest), "set, and not known to this version")
	}
}

// mitigations are vectors whose bits AMD's security bulletins assign; the
// specification names none (AMD 56860, revision 1.58, SNP_VERIFY_MITIGATION).
func (r report) mitigations() Section {
	s := Section{Title: "Mitigations of vulnerabilities"}
	launch, known := r.LaunchMitigations()
	current, _ := r.CurrentMitigations()
	if !known {
		s.add("vectors", "", "a report of version "+decimal(r.Version())+" has none, they come with version 5")
		return s
	}
	s.add("LAUNCH_MIT_VECTOR", fmt.Sprintf("%016x", launch), "verified when the guest was launched: "+bitList(launch))
	s.add("CURRENT_MIT_VECTOR", fmt.Sprintf("%016x", current), "verified now: "+bitList(current))
	return s
}

// bitList is "bits 0, 2", or "none".
func bitList(value uint64) string {
	if value == 0 {
		return "none"
	}
	var set []string
	for value != 0 {
		at := bits.TrailingZeros64(value)
		set = append(set, strconv.Itoa(at))
		value &^= 1 << at
	}
	return "bits " + strings.Join(set, ", ")
}
