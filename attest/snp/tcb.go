package snp

import "fmt"

// TCB is a TCB_VERSION, the security patch levels of the firmware components packed
// into 64 bits. The layout depends on the product. Two TCBs are equal (==) if bits and
// product are equal. To order them, compare [Components], not the integers.
type TCB struct {
	raw     uint64
	product Product
}

// Components are the security patch levels of one TCB. FMC exists on Turin only.
type Components struct{ FMC, Bootloader, TEE, SNP, Microcode uint8 }

// NewTCB returns raw as a TCB of p. An unknown product has the Milan layout.
func NewTCB(raw uint64, p Product) TCB { return TCB{raw: raw, product: p} }

// Raw returns the TCB as reports and certificate services encode it.
func (t TCB) Raw() uint64 { return t.raw }

// Product returns the product, which determines the layout.
func (t TCB) Product() Product { return t.product }

// shifts contains the first bit of each component.
type shifts struct{ bootloader, tee, snp, microcode uint }

// Layouts of AMD 56860, table Structure of the TCB_VERSION: one for families up to
// 19h, one for family 1Ah, where byte 0 is the FMC.
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

// TCB packs the patch levels in the layout of p, and drops FMC if p has none.
func (c Components) TCB(p Product) TCB {
	l := p.layout()
	raw := uint64(c.Bootloader)<<l.bootloader | uint64(c.TEE)<<l.tee | uint64(c.SNP)<<l.snp | uint64(c.Microcode)<<l.microcode
	if p == Turin {
		raw |= uint64(c.FMC)
	}
	return NewTCB(raw, p)
}

// AtLeast reports whether no component is below its counterpart in o.
func (c Components) AtLeast(o Components) bool {
	return c.FMC >= o.FMC && c.Bootloader >= o.Bootloader && c.TEE >= o.TEE && c.SNP >= o.SNP && c.Microcode >= o.Microcode
}

// Hex returns 16 lower-case hex digits. Azure's certificate service writes the same
// number as tcbm, in upper case.
func (t TCB) Hex() string { return fmt.Sprintf("%016x", t.raw) }

// String lists the components, such as "bootloader 3, tee 0, snp 8, microcode 115".
func (t TCB) String() string {
	c := t.Components()
	text := fmt.Sprintf("bootloader %d, tee %d, snp %d, microcode %d", c.Bootloader, c.TEE, c.SNP, c.Microcode)
	if t.product == Turin {
		text = fmt.Sprintf("fmc %d, ", c.FMC) + text
	}
	return text
}
