package vtpm

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// EventType says what was hashed (PFP, table "Events"). It is not part of the hash.
type EventType uint32

// The types that this package interprets.
const (
	NoAction             EventType = 0x3
	separator            EventType = 0x4
	variableDriverConfig EventType = 0x80000001
	variableBoot         EventType = 0x80000002
	variableBoot2        EventType = 0x8000000c
	variableAuthority    EventType = 0x800000e0
)

var eventTypes = map[EventType]string{
	0x0: "EV_PREBOOT_CERT", 0x1: "EV_POST_CODE", NoAction: "EV_NO_ACTION", separator: "EV_SEPARATOR", 0x5: "EV_ACTION",
	0x6: "EV_EVENT_TAG", 0x7: "EV_S_CRTM_CONTENTS", 0x8: "EV_S_CRTM_VERSION", 0x9: "EV_CPU_MICROCODE",
	0xa: "EV_PLATFORM_CONFIG_FLAGS", 0xb: "EV_TABLE_OF_DEVICES", 0xc: "EV_COMPACT_HASH", 0xd: "EV_IPL",
	0xe: "EV_IPL_PARTITION_DATA", 0xf: "EV_NONHOST_CODE", 0x10: "EV_NONHOST_CONFIG", 0x11: "EV_NONHOST_INFO",
	0x12: "EV_OMIT_BOOT_DEVICE_EVENTS", 0x13: "EV_POST_CODE2",
	variableDriverConfig: "EV_EFI_VARIABLE_DRIVER_CONFIG", variableBoot: "EV_EFI_VARIABLE_BOOT",
	0x80000003: "EV_EFI_BOOT_SERVICES_APPLICATION", 0x80000004: "EV_EFI_BOOT_SERVICES_DRIVER",
	0x80000005: "EV_EFI_RUNTIME_SERVICES_DRIVER", 0x80000006: "EV_EFI_GPT_EVENT", 0x80000007: "EV_EFI_ACTION",
	0x80000008: "EV_EFI_PLATFORM_FIRMWARE_BLOB", 0x80000009: "EV_EFI_HANDOFF_TABLES",
	0x8000000a: "EV_EFI_PLATFORM_FIRMWARE_BLOB2", 0x8000000b: "EV_EFI_HANDOFF_TABLES2",
	variableBoot2: "EV_EFI_VARIABLE_BOOT2", 0x8000000d: "EV_EFI_GPT_EVENT2", 0x80000010: "EV_EFI_HCRTM_EVENT",
	variableAuthority: "EV_EFI_VARIABLE_AUTHORITY", 0x800000e1: "EV_EFI_SPDM_FIRMWARE_BLOB", 0x800000e2: "EV_EFI_SPDM_FIRMWARE_CONFIG",
}

func (t EventType) String() string {
	if name, known := eventTypes[t]; known {
		return name
	}
	return fmt.Sprintf("%#x", uint32(t))
}

// Variable returns the name of the UEFI variable that the event is about; "" for other events.
func (e Event) Variable() string {
	switch e.Type {
	case variableDriverConfig, variableBoot, variableBoot2, variableAuthority:
		if v, err := parseVariable(e.Data); err == nil {
			return v.name
		}
	}
	return ""
}

// maxVariableName is in UTF-16 units.
const maxVariableName = 512

// variable is a UEFI_VARIABLE_DATA (PFP, "UEFI_VARIABLE_DATA").
type variable struct {
	vendor [16]byte // GUID, as in memory
	name   string
	value  []byte
}

func parseVariable(data []byte) (variable, error) {
	c := cursor{rest: data, order: binary.LittleEndian}
	guid := c.next(16)
	length, size := c.u64(), c.u64()
	if length > maxVariableName {
		return variable{}, fmt.Errorf("its variable has a name of %d characters", length)
	}
	units := c.next(2 * length)
	value := c.next(size)
	if err := c.end(); err != nil {
		return variable{}, fmt.Errorf("its variable: %w", err)
	}
	name := make([]uint16, length)
	for i := range name {
		name[i] = binary.LittleEndian.Uint16(units[2*i:])
	}
	return variable{[16]byte(guid), string(utf16.Decode(name)), value}, nil
}
