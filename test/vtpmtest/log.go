package vtpmtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"unicode/utf16"

	"skr/attest/vtpm"
)

// Types of events ("TCG PC Client Platform Firmware Profile", table "Events").
const (
	NoAction    = 0x3
	Separator   = 0x4
	CompactHash = 0xc
	IPL         = 0xd
	Variable    = 0x80000001 // EV_EFI_VARIABLE_DRIVER_CONFIG
	Action      = 0x80000007
)

// GUIDs of variables, as in memory.
const (
	global   = "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"
	security = "\xcb\xb2\x19\xd7\x3a\x3d\x96\x45\xa3\xbc\xda\xd0\x0e\x67\x65\x6f"
)

// Log is an event log under construction, in Hyper-V's form: SHA-1, SHA-256 and
// SHA-384, listed in a different order in the header than in the events.
type Log struct {
	raw  []byte
	pcrs vtpm.PCRs
}

// NewLog returns a log with only the header.
func NewLog() *Log {
	spec := []byte("Spec ID Event03\x00\x00\x00\x00\x00\x00\x02\x00\x02\x03\x00\x00\x00")
	for _, algorithm := range [][2]uint16{{0x0c, 48}, {0x04, 20}, {0x0b, 32}} {
		spec = binary.LittleEndian.AppendUint16(spec, algorithm[0])
		spec = binary.LittleEndian.AppendUint16(spec, algorithm[1])
	}
	spec = append(spec, 0)
	raw := append(u32(u32(nil, 0), NoAction), make([]byte, 20)...)
	return &Log{append(u32(raw, uint32(len(spec))), spec...), vtpm.PCRs{}}
}

// SecureBootLog returns the log of a start up to the boot loader, with or
// without secure boot.
func SecureBootLog(on bool) *Log {
	value := "\x00"
	if on {
		value = "\x01"
	}
	l := NewLog()
	l.Add(0, 0x8, []byte("T\x00E\x00S\x00T\x00"))
	l.Variable("SecureBoot", value).Variable("PK", "TEST ONLY").Variable("KEK", "").Variable("db", "").Variable("dbx", "")
	for pcr := range 8 {
		l.Add(pcr, Separator, make([]byte, 4))
	}
	l.Add(4, Action, []byte("Calling EFI Application from Boot Option"))
	l.Add(6, CompactHash, []byte("UUID: 00000000-0000-0000-0000-000000000001"))
	return l.Add(8, IPL, []byte("grub_cmd: set root=TEST\x00"))
}

// Variable adds a variable, measured into PCR 7.
func (l *Log) Variable(name, value string) *Log {
	guid := global
	if name == "db" || name == "dbx" {
		guid = security
	}
	units := utf16.Encode([]rune(name))
	data := binary.LittleEndian.AppendUint64([]byte(guid), uint64(len(units)))
	data = binary.LittleEndian.AppendUint64(data, uint64(len(value)))
	for _, unit := range units {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return l.Add(7, Variable, append(data, value...))
}

// Add adds an event whose digest covers its data.
func (l *Log) Add(pcr int, kind uint32, data []byte) *Log { return l.Forge(pcr, kind, data, data) }

// Forge adds an event with the digest of measured and with other data.
func (l *Log) Forge(pcr int, kind uint32, measured, data []byte) *Log {
	one, two, three := sha1.Sum(measured), sha256.Sum256(measured), sha512.Sum384(measured)
	l.raw = u32(u32(u32(l.raw, uint32(pcr)), kind), 3)
	l.raw = append(append(l.raw, 0x04, 0), one[:]...)
	l.raw = append(append(l.raw, 0x0b, 0), two[:]...)
	l.raw = append(append(l.raw, 0x0c, 0), three[:]...)
	l.raw = append(u32(l.raw, uint32(len(data))), data...)
	if kind != NoAction {
		l.Extend(pcr, two)
	}
	return l
}

// Extend extends a register without a log entry, as software may.
func (l *Log) Extend(pcr int, digest vtpm.Digest) *Log {
	value := l.pcrs[pcr]
	l.pcrs[pcr] = sha256.Sum256(append(value[:], digest[:]...))
	return l
}

// Locality records the locality with which PCR 0 starts.
func (l *Log) Locality(locality byte) *Log {
	l.Forge(0, NoAction, nil, append([]byte("StartupLocality\x00"), locality))
	l.pcrs[0] = vtpm.Digest{31: locality}
	return l
}

// Raw returns the log file.
func (l *Log) Raw() []byte { return append([]byte(nil), l.raw...) }

// PCRs returns the machine's register values: all 24, including those of
// dynamic launches.
func (l *Log) PCRs() vtpm.PCRs {
	all := vtpm.PCRs{}
	for pcr := range 24 {
		value := l.pcrs[pcr]
		if pcr >= 17 && pcr <= 22 {
			for i := range value {
				value[i] = 0xff
			}
		}
		all[pcr] = value
	}
	return all
}

func u32(out []byte, value uint32) []byte { return binary.LittleEndian.AppendUint32(out, value) }
