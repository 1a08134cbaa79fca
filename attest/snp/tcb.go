package snp

import "fmt"

// TCB is a TCB_VERSION: the security patch levels of the firmware parts, packed
// into 64 bits in a way that depends on the product. Two are equal (==) if bits
// and product are. Never order them as integers: compare [Components].
type TCB struct {
	raw     uint64
	product Product
}

// Components are the security patch levels of one TCB. FMC exists on Turin only.
type Components struct{ FMC, Bootloader, TEE, SNP, Microcode uint8 }

// NewTCB reads raw as a TCB of p; an unknown product has the Milan layout.
func NewTCB(raw uint64, p Product) TCB { return TCB{raw: raw, product: p} }

// Raw is the TCB as the report and the certificate services have it.
func (t TCB) Raw() uint64 { return t.raw }

// Product decides the layout.
func (t TCB) Product() Product { return t.product }

// shifts says at which bit each component starts.
type shifts struct{ bootloader, tee, snp, microcode uint }

// Layouts of AMD 56860, table Structure of the TCB_VERSION: one for families
// up to 19h, one for family 1Ah, where byte 0 is the FMC.
var (
	milanLayout = shifts{bootloader: 0, tee: 8, snp: 48, microcode: 56}
	turinLayout = shifts{bootloader: 8, tee: 16, snp: 24, microcode: 56}
)

func (p Product) layout() shifts {
	if p == Turin {
		return turinLayout
	}
	return milanLayout
}

// Components unpacks the patch levels.
func (t TCB) Components() Components {
	l := t.product.layout()
	c := Components{Bootloader: t.at(l.bootloader), TEE: t.at(l.tee), SNP: t.at(l.snp), Microcode: t.at(l.microcode)}
	if t.product == Turin {
		c.FMC = t.at(0)
	}
	return c
}

func (t TCB) at(shift uint) uint8 { return uint8(t.raw >> shift) } // #nosec G115 -- one byte is meant

// TCB packs the patch levels as p does; FMC is dropped where p has none.
func (c Components) TCB(p Product) TCB {
	l := p.layout()
	raw := uint64(c.Bootloader)<<l.bootloader | uint64(c.TEE)<<l.tee | uint64(c.SNP)<<l.snp | uint64(c.Microcode)<<l.microcode
	if p == Turin {
		raw |= uint64(c.FMC)
	}
	return NewTCB(raw, p)
}

// AtLeast says whether no component is below its counterpart in o.
func (c Components) AtLeast(o Components) bool {
	return c.FMC >= o.FMC && c.Bootloader >= o.Bootloader && c.TEE >= o.TEE && c.SNP >= o.SNP && c.Microcode >= o.Microcode
}

// Hex is 16 lower-case hex digits. Azure's certificate service prints the same
// number, tcbm, in upper case.
func (t TCB) Hex() string { return fmt.Sprintf("%016x", t.raw) }

// String lists the components, "bootloader 3, tee 0, snp 8, microcode 115".
func (t TCB) String() string {
	c := t.Components()
	text := fmt.Sprintf("bootloader %d, tee %d, snp %d, microcode %d", c.Bootloader, c.TEE, c.SNP, c.Microcode)
	if t.product == Turin {
		text = fmt.Sprintf("fmc %d, ", c.FMC) + text
	}
	return text
}
