package snp

import (
	"fmt"
	"strings"
)

// Product is a line of EPYC processors with a certificate chain of its own.
type Product uint8

// The product lines that have SEV-SNP and whose certificates we know.
const (
	ProductUnknown Product = iota
	Milan                  // EPYC 7003
	Genoa                  // EPYC 9004 and 8004: Genoa, Bergamo, Siena
	Turin                  // EPYC 9005
)

// products names the lines as AMD's certificates do.
var products = map[Product]string{Milan: "Milan", Genoa: "Genoa", Turin: "Turin"}

// String is "Milan", "Genoa", "Turin" or "unknown".
func (p Product) String() string {
	if name, ok := products[p]; ok {
		return name
	}
	return "unknown"
}

// ParseProduct reads productName of a VCEK or VLEK certificate, extension
// 1.3.6.1.4.1.3704.1.2: the line, which a stepping may follow ("Milan-B0",
// "Genoa") (AMD 57230, VCEK certificate extensions).
func ParseProduct(certName string) (Product, error) {
	line, stepping, cut := strings.Cut(certName, "-")
	if cut && !isStepping(stepping) {
		return ProductUnknown, fmt.Errorf("parsing product name %q: stepping is not a letter and a digit", certName)
	}
	for p, name := range products {
		if line == name {
			return p, nil
		}
	}
	return ProductUnknown, fmt.Errorf("parsing product name %q: want Milan, Genoa or Turin", certName)
}

func isStepping(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && '0' <= s[1] && s[1] <= '9'
}

// CPUID is the combined family and model, and the stepping, of CPUID leaf 1.
type CPUID struct{ Family, Model, Stepping uint8 }

// Product is the product line of the processor. The ranges are those of
// github.com/virtee/sev, Generation::identify_cpu. Venice (family 1Ah, models
// 50h and above) has a chain that is not public: unknown.
func (c CPUID) Product() Product {
	switch m := c.Model; {
	case c.Family == 0x19 && m <= 0x0F:
		return Milan
	case c.Family == 0x19 && (0x10 <= m && m <= 0x1F || 0xA0 <= m && m <= 0xAF):
		return Genoa
	case c.Family == 0x1A && m <= 0x11:
		return Turin
	}
	return ProductUnknown
}

// CPUID is the processor that made the report; false in version 2.
func (r *Report) CPUID() (CPUID, bool) {
	if r.Version() < version3 {
		return CPUID{}, false
	}
	b := r.raw[offCPUID:offCPUIDEnd]
	return CPUID{Family: b[0], Model: b[1], Stepping: b[2]}, true
}

// Product is the product line that made the report. A version 2 report does not
// say: it is [ProductUnknown], and the certificate must tell.
func (r *Report) Product() Product {
	if id, ok := r.CPUID(); ok {
		return id.Product()
	}
	return ProductUnknown
}
