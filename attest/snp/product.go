package snp

import (
	"fmt"
	"strings"
)

// Product is a line of EPYC processors. Each has its own certificate chain.
type Product uint8

// The product lines with SEV-SNP whose certificates are public.
const (
	ProductUnknown Product = iota
	Milan                  // EPYC 7003
	Genoa                  // EPYC 9004 and 8004: Genoa, Bergamo, Siena
	Turin                  // EPYC 9005
)

// products contains the names that AMD's certificates use.
var products = map[Product]string{Milan: "Milan", Genoa: "Genoa", Turin: "Turin"}

// String returns "Milan", "Genoa", "Turin" or "unknown".
func (p Product) String() string {
	if name, ok := products[p]; ok {
		return name
	}
	return "unknown"
}

// ParseProduct parses productName of a VCEK or VLEK certificate, extension
// 1.3.6.1.4.1.3704.1.2: the line and optionally a stepping, such as "Genoa" or
// "Milan-B0" (AMD 57230, VCEK certificate extensions).
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

// CPUID is the combined family and model, and the stepping, from CPUID leaf 1.
type CPUID struct{ Family, Model, Stepping uint8 }

// Product returns the product line of the processor. The ranges follow
// github.com/virtee/sev, Generation::identify_cpu. Venice (family 1Ah, models 50h and
// above) is unknown, because its certificates are not public.
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

// CPUID returns the processor that made the report, and false for version 2.
func (r *Report) CPUID() (CPUID, bool) {
	if r.Version() < version3 {
		return CPUID{}, false
	}
	b := r.raw[offCPUID:offCPUIDEnd]
	return CPUID{Family: b[0], Model: b[1], Stepping: b[2]}, true
}

// Product returns the product line that made the report. It is [ProductUnknown] for
// version 2, where only the certificate names the product.
func (r *Report) Product() Product {
	if id, ok := r.CPUID(); ok {
		return id.Product()
	}
	return ProductUnknown
}
