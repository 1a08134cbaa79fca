package pki

import (
	"crypto/tls"
	"fmt"
)

// Defect is a defect of a TLS certificate that a client must detect.
type Defect string

// The defects.
const (
	Expired   Defect = "expired"    // it expired an hour ago
	WrongName Defect = "wrong-name" // it is for another host
	ForeignCA Defect = "foreign-ca" // a CA of the same name, with other keys, issued it
)

// Defects returns all defects.
func Defects() []Defect { return []Defect{Expired, WrongName, ForeignCA} }

const otherName = "other.localhost"

// Defective returns a TLS certificate for name with a defect.
func (ca *CA) Defective(name string, d Defect) (*tls.Certificate, error) {
	template := ca.server(name)
	switch d {
	case Expired: // by the emulated clock and by the machine's: see validity
		template.NotBefore, template.NotAfter = ca.from.Add(-margin), ca.from
	case WrongName:
		template = ca.server(otherName)
	case ForeignCA:
		foreign, err := New(Config{})
		if err != nil {
			return nil, err
		}
		return foreign.makeLeaf(template)
	default:
		return nil, fmt.Errorf("pki: unknown defect %q", d)
	}
	return ca.makeLeaf(template)
}
