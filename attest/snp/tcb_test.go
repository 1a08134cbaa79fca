package snp_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"skr/attest/snp"
)

func TestTCB(t *testing.T) {
	tests := []struct {
		raw     uint64
		product snp.Product
		want    snp.Components
		hex     string
		text    string
	}{
		{0x7308000000000003, snp.Milan, snp.Components{Bootloader: 3, SNP: 8, Microcode: 115},
			"7308000000000003", "bootloader 3, tee 0, snp 8, microcode 115"},
		{0x581B00000000000A, snp.Genoa, snp.Components{Bootloader: 10, SNP: 27, Microcode: 88},
			"581b00000000000a", "bootloader 10, tee 0, snp 27, microcode 88"},
		{0x5a00000005020301, snp.Turin, snp.Components{FMC: 1, Bootloader: 3, TEE: 2, SNP: 5, Microcode: 90},
			"5a00000005020301", "fmc 1, bootloader 3, tee 2, snp 5, microcode 90"},
		{0xff01000000000203, snp.ProductUnknown, snp.Components{Bootloader: 3, TEE: 2, SNP: 1, Microcode: 255},
			"ff01000000000203", "bootloader 3, tee 2, snp 1, microcode 255"},
	}
	for _, test := range tests {
		tcb := snp.NewTCB(test.raw, test.product)
		if got := tcb.Components(); got != test.want {
			t.Errorf("%#x of %s: %+v, want %+v", test.raw, test.product, got, test.want)
		}
		if got := test.want.TCB(test.product); got != tcb {
			t.Errorf("%+v of %s: %#x, want %#x", test.want, test.product, got.Raw(), test.raw)
		}
		if tcb.Hex() != test.hex || tcb.String() != test.text {
			t.Errorf("%#x prints %q and %q, want %q and %q", test.raw, tcb.Hex(), tcb, test.hex, test.text)
		}
	}
}

func TestTCBRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]snp.Product{snp.Milan, snp.Genoa, snp.Turin}).Draw(t, "product")
		level := func(name string) uint8 { return rapid.Uint8().Draw(t, name) }
		c := snp.Components{Bootloader: level("bootloader"), TEE: level("tee"), SNP: level("snp"), Microcode: level("microcode")}
		if p == snp.Turin {
			c.FMC = level("fmc")
		}
		if got := c.TCB(p).Components(); got != c {
			t.Errorf("%+v became %+v", c, got)
		}
	})
}

func TestAtLeast(t *testing.T) {
	base := snp.Components{FMC: 1, Bootloader: 2, TEE: 3, SNP: 4, Microcode: 5}
	if !base.AtLeast(base) {
		t.Error("a TCB is not at least itself")
	}
	// A higher component does not compensate for a lower one.
	for i, lower := range []snp.Components{
		{FMC: 0, Bootloader: 9, TEE: 9, SNP: 9, Microcode: 9},
		{FMC: 9, Bootloader: 1, TEE: 9, SNP: 9, Microcode: 9},
		{FMC: 9, Bootloader: 9, TEE: 2, SNP: 9, Microcode: 9},
		{FMC: 9, Bootloader: 9, TEE: 9, SNP: 3, Microcode: 9},
		{FMC: 9, Bootloader: 9, TEE: 9, SNP: 9, Microcode: 4},
	} {
		if lower.AtLeast(base) {
			t.Errorf("case %d: %+v counts as at least %+v", i, lower, base)
		}
	}
	if higher := (snp.Components{FMC: 1, Bootloader: 2, TEE: 3, SNP: 4, Microcode: 200}); !higher.AtLeast(base) {
		t.Error("a higher microcode counts as lower")
	}
}

func TestParseProduct(t *testing.T) {
	for name, want := range map[string]snp.Product{
		"Milan": snp.Milan, "Milan-B0": snp.Milan, "Milan-B1": snp.Milan,
		"Genoa": snp.Genoa, "Genoa-B1": snp.Genoa, "Turin": snp.Turin, "Turin-C1": snp.Turin,
	} {
		if got, err := snp.ParseProduct(name); got != want || err != nil {
			t.Errorf("%q: %s, %v; want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"", "milan", "Milan-", "Milan-B0-B1", "Milan-b0", "Milan-BB", "Milan ", "Naples", "Venice", "unknown"} {
		if got, err := snp.ParseProduct(name); err == nil {
			t.Errorf("%q was accepted as %s", name, got)
		}
	}
}

func TestProductOfCPUID(t *testing.T) {
	want := func(family, model int) snp.Product {
		switch {
		case family == 0x19 && model < 0x10:
			return snp.Milan
		case family == 0x19 && (model >= 0x10 && model < 0x20 || model >= 0xA0 && model < 0xB0):
			return snp.Genoa
		case family == 0x1A && model < 0x12:
			return snp.Turin
		}
		return snp.ProductUnknown
	}
	for family := range 256 {
		for model := range 256 {
			got := snp.CPUID{Family: uint8(family), Model: uint8(model)}.Product()
			if got != want(family, model) {
				t.Errorf("family %#x model %#x: %s, want %s", family, model, got, want(family, model))
			}
		}
	}
	if got := fmt.Sprint(snp.ProductUnknown, snp.Milan, snp.Genoa, snp.Turin); got != "unknown Milan Genoa Turin" {
		t.Errorf("products print as %q", got)
	}
}

func TestPolicyBits(t *testing.T) {
	bits := map[uint]func(snp.GuestPolicy) bool{
		16: snp.GuestPolicy.SMT, 18: snp.GuestPolicy.MigrationAgent, 19: snp.GuestPolicy.Debug,
		20: snp.GuestPolicy.SingleSocket, 21: snp.GuestPolicy.CXL, 22: snp.GuestPolicy.AES256XTS,
		23: snp.GuestPolicy.RAPLDisabled, 24: snp.GuestPolicy.CiphertextHiding, 25: snp.GuestPolicy.PageSwapDisabled,
	}
	for n, method := range bits {
		for other := range uint(64) {
			if got := method(1 << other); got != (n == other) {
				t.Errorf("the method of bit %d returns %v for bit %d", n, got, other)
			}
		}
	}
	p := snp.GuestPolicy(0x3021f)
	if p.ABIMinor() != 0x1f || p.ABIMajor() != 2 || p.String() != "0x3021f" {
		t.Errorf("ABI %d.%d, prints %s", p.ABIMajor(), p.ABIMinor(), p)
	}
}

func TestBind(t *testing.T) {
	digest := sha256.Sum256([]byte("runtime data"))
	got := snp.Bind([]byte("runtime data"))
	if !bytes.Equal(got[:32], digest[:]) || !bytes.Equal(got[32:], make([]byte, 32)) {
		t.Errorf("bound %s", got)
	}
}

func TestHWID(t *testing.T) {
	id := snp.ChipID(filled(64, 1))
	for p, size := range map[snp.Product]int{snp.Milan: 64, snp.Genoa: 64, snp.ProductUnknown: 64, snp.Turin: 8} {
		if got := id.HWID(p); !bytes.Equal(got, id[:size]) {
			t.Errorf("%s: %x, want %d bytes", p, got, size)
		}
	}
	if id.IsZero() || !(snp.ChipID{}).IsZero() {
		t.Error("IsZero does not recognise a masked identity")
	}
}

func TestFieldsPrintAsHex(t *testing.T) {
	for _, test := range []struct {
		value fmt.Stringer
		want  int
	}{
		{snp.ReportData{1}, 128}, {snp.Measurement{1}, 96}, {snp.HostData{1}, 64}, {snp.ChipID{1}, 128},
	} {
		if got := test.value.String(); len(got) != test.want || got[:4] != "0100" {
			t.Errorf("%T prints %q", test.value, got)
		}
	}
}
