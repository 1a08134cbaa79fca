package swtpm

import (
	"crypto/sha1" // one of the banks of an event log
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"unicode/utf16"

	"github.com/google/go-tpm/tpm2"
)

// Types of events (TCG PC Client Platform Firmware Profile 1.06, table "Events").
const (
	evNoAction           = 0x00000003
	evSeparator          = 0x00000004
	evSCRTMVersion       = 0x00000008
	evCompactHash        = 0x0000000C
	evIPL                = 0x0000000D
	evEFIVariable        = 0x80000001
	evEFIBootApplication = 0x80000003
	evEFIAction          = 0x80000007
	evEFIPlatformBlob    = 0x80000008
	evEFIGPT             = 0x80000006
	evEFIAuthority       = 0x800000E0
)

// event is one entry of the log. The digests cover measured, or data if
// measured is nil.
type event struct {
	pcr, kind uint32
	data      []byte
	measured  []byte
}

// specID returns the first entry. It has the old form and lists the digests
// that follow. Hyper-V lists them in a different order than in the events.
func specID() []byte {
	data := append([]byte("Spec ID Event03\x00"), 0, 0, 0, 0, 0, 2, 0, 2)
	data = binary.LittleEndian.AppendUint32(data, 3)
	for _, a := range []struct{ algorithm, size uint16 }{{0x000C, 48}, {0x000B, 32}, {0x0004, 20}} {
		data = binary.LittleEndian.AppendUint16(data, a.algorithm)
		data = binary.LittleEndian.AppendUint16(data, a.size)
	}
	return append(data, 0) // no vendor information follows
}

// append appends the event as TCG_PCR_EVENT2, or the first entry as
// TCG_PCClientPCREvent (sections 10.2.1 and 10.2.2). Integers are
// little-endian.
func (e event) append(log []byte) []byte {
	first := len(log) == 0
	log = binary.LittleEndian.AppendUint32(log, e.pcr)
	log = binary.LittleEndian.AppendUint32(log, e.kind)
	if first {
		log = append(log, make([]byte, sha1.Size)...)
	} else {
		log = binary.LittleEndian.AppendUint32(log, 3)
		for _, d := range e.digests() {
			log = binary.LittleEndian.AppendUint16(log, uint16(d.HashAlg))
			log = append(log, d.Digest...)
		}
	}
	log = binary.LittleEndian.AppendUint32(log, uint32(len(e.data)))
	return append(log, e.data...)
}

func (e event) digests() []tpm2.TPMTHA {
	measured := e.measured
	if measured == nil {
		measured = e.data
	}
	one, two, three := sha1.Sum(measured), sha256.Sum256(measured), sha512.Sum384(measured)
	return []tpm2.TPMTHA{
		{HashAlg: tpm2.TPMAlgSHA1, Digest: one[:]},
		{HashAlg: tpm2.TPMAlgSHA256, Digest: two[:]},
		{HashAlg: tpm2.TPMAlgSHA384, Digest: three[:]},
	}
}

// extend extends an event into its register. EV_NO_ACTION events are not
// measured.
func (m *Machine) extend(e event) error {
	if e.kind == evNoAction {
		return nil
	}
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(e.pcr), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: e.digests()},
	}.Execute(m.tpm)
	return err
}

// bootEvents returns the events of a start, as microsoft/mu_msvm, shim and GRUB
// measure it.
func bootEvents(vmID string, secureBoot bool) []event {
	events := []event{
		{pcr: 0, kind: evNoAction, data: specID()},
		{pcr: 0, kind: evSCRTMVersion, data: utf16Bytes("TEST ONLY firmware")},
		{pcr: 0, kind: evEFIPlatformBlob, data: make([]byte, 16), measured: []byte("firmware volume")},
		{pcr: 6, kind: evCompactHash, data: []byte("UUID: " + vmID + "\x00")},
		{pcr: 6, kind: evCompactHash, data: []byte(`{"MachineArchitecture":"x64"}`)},
		{pcr: 1, kind: evEFIVariable, data: variable(globalVariable, "BootOrder", []byte{0, 0})},
	}
	enabled := []byte{0}
	if secureBoot {
		enabled = []byte{1}
	}
	events = append(events, event{pcr: 7, kind: evEFIVariable, data: variable(globalVariable, "SecureBoot", enabled)})
	for _, name := range []string{"PK", "KEK"} {
		events = append(events, event{pcr: 7, kind: evEFIVariable, data: variable(globalVariable, name, signatures(name))})
	}
	for _, name := range []string{"db", "dbx"} {
		events = append(events, event{pcr: 7, kind: evEFIVariable, data: variable(imageSecurity, name, signatures(name))})
	}
	for pcr := range uint32(8) {
		events = append(events, event{pcr: pcr, kind: evSeparator, data: make([]byte, 4)})
	}
	return append(events,
		event{pcr: 5, kind: evEFIGPT, data: make([]byte, 92+8)},
		event{pcr: 4, kind: evEFIAction, data: []byte("Calling EFI Application from Boot Option")},
		event{pcr: 7, kind: evEFIAuthority, data: variable(imageSecurity, "db", make([]byte, 16+32))},
		event{pcr: 4, kind: evEFIBootApplication, data: make([]byte, 32), measured: []byte("shim")},
		event{pcr: 4, kind: evEFIBootApplication, data: make([]byte, 32), measured: []byte("grub")},
		event{pcr: 8, kind: evIPL, data: []byte("grub_cmd: linux /boot/vmlinuz\x00"), measured: []byte("linux /boot/vmlinuz")},
		event{pcr: 9, kind: evIPL, data: []byte("/boot/vmlinuz\x00"), measured: []byte("kernel")},
		event{pcr: 5, kind: evEFIAction, data: []byte("Exit Boot Services Invocation")},
		event{pcr: 5, kind: evEFIAction, data: []byte("Exit Boot Services Returned with Success")},
	)
}

// Namespaces of variables (UEFI 2.10, 3.3 and 32.6.1), in their form in memory.
var (
	globalVariable = [16]byte{0x61, 0xDF, 0xE4, 0x8B, 0xCA, 0x93, 0xD2, 0x11, 0xAA, 0x0D, 0x00, 0xE0, 0x98, 0x03, 0x2B, 0x8C}
	imageSecurity  = [16]byte{0xCB, 0xB2, 0x19, 0xD7, 0x3A, 0x3D, 0x96, 0x45, 0xA3, 0xBC, 0xDA, 0xD0, 0x0E, 0x67, 0x65, 0x6F}
	sha256List     = [16]byte{0x26, 0x16, 0xC4, 0xC1, 0x4C, 0x50, 0x92, 0x40, 0xAC, 0xA9, 0x41, 0xF9, 0x36, 0x93, 0x43, 0x28}
)

// variable returns UEFI_VARIABLE_DATA (section 10.2.6).
func variable(namespace [16]byte, name string, value []byte) []byte {
	text := utf16Bytes(name)
	data := append([]byte(nil), namespace[:]...)
	data = binary.LittleEndian.AppendUint64(data, uint64(len(text)/2))
	data = binary.LittleEndian.AppendUint64(data, uint64(len(value)))
	return append(append(data, text...), value...)
}

// signatures returns an EFI_SIGNATURE_LIST with one hash (UEFI 2.10, 32.4.1).
func signatures(of string) []byte {
	hash := sha256.Sum256([]byte(of))
	list := append([]byte(nil), sha256List[:]...)
	for _, size := range []uint32{28 + 16 + sha256.Size, 0, 16 + sha256.Size} {
		list = binary.LittleEndian.AppendUint32(list, size)
	}
	return append(append(list, make([]byte, 16)...), hash[:]...)
}

// utf16Bytes returns UTF-16, little-endian, without a terminator.
func utf16Bytes(text string) []byte {
	var data []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return data
}
