package vtpm

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
)

// Database is a list of keys and hashes of secure boot.
type Database struct {
	Name         string   // PK, KEK, db or dbx
	Certificates []string // subjects
	Hashes       int      // of images
	// Problem says why some of it could not be parsed; "" if all could.
	Problem string
}

// Types of signatures (UEFI specification 2.10, EFI_SIGNATURE_LIST), as in memory.
var (
	typeX509   = [16]byte{0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72}
	typeSHA256 = [16]byte{0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40, 0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28}
)

const (
	listHeader = 16 + 3*4
	ownerSize  = 16 // of the GUID before each signature
)

// parseDatabase parses a sequence of EFI_SIGNATURE_LIST. It stops at the first malformed
// list, which is not an error, because the state of secure boot does not depend on it.
func parseDatabase(name string, data []byte) Database {
	d := Database{Name: name}
	c := &cursor{rest: data, order: binary.LittleEndian}
	for len(c.rest) > 0 && c.err == nil {
		kind := c.next(ownerSize)
		total, header, size := uint64(c.u32()), uint64(c.u32()), uint64(c.u32())
		if c.err != nil || size <= ownerSize || total < listHeader+header || (total-listHeader-header)%size != 0 {
			d.Problem = "its lists are malformed"
			return d
		}
		c.next(header)
		d.addList([16]byte(kind), c.next(total-listHeader-header), size)
	}
	if c.err != nil {
		d.Problem = c.err.Error()
	}
	return d
}

func (d *Database) addList(kind [16]byte, list []byte, size uint64) {
	for uint64(len(list)) >= size {
		signature := list[ownerSize:size]
		list = list[size:]
		switch {
		case kind == typeX509:
			d.Certificates = append(d.Certificates, subjectOf(signature))
		case kind == typeSHA256 && len(signature) == sha256.Size:
			d.Hashes++
		}
	}
}

func subjectOf(der []byte) string {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return "unreadable"
	}
	if name := certificate.Subject.CommonName; name != "" {
		return name
	}
	return certificate.Subject.String()
}

func (d Database) String() string {
	text := fmt.Sprintf("%d certificates, %d hashes", len(d.Certificates), d.Hashes)
	if d.Problem != "" {
		text += ", " + d.Problem
	}
	return text
}
