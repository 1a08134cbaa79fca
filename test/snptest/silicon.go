package snptest

import "skr/attest/snp"

// model holds the common properties of a product line's chips.
type model struct {
	cpuid         snp.CPUID
	certName      string         // productName of the VCEK certificate
	structVersion int            // of the certificate's extensions
	tcb           snp.Components // patch levels when new
	firmware      snp.FirmwareVersion
}

// silicon holds the models. The patch levels are those of Azure machines in
// 2025 and 2026. Milan's microcode is above 127, so that its DER INTEGER needs
// a leading zero byte.
var silicon = map[snp.Product]model{
	snp.Milan: {
		cpuid:    snp.CPUID{Family: 0x19, Model: 0x01, Stepping: 1},
		certName: "Milan-B0",
		tcb:      snp.Components{Bootloader: 4, SNP: 24, Microcode: 219},
		firmware: snp.FirmwareVersion{Major: 1, Minor: 55, Build: 29},
	},
	snp.Genoa: {
		cpuid:    snp.CPUID{Family: 0x19, Model: 0x11, Stepping: 1},
		certName: "Genoa",
		tcb:      snp.Components{Bootloader: 10, SNP: 27, Microcode: 88},
		firmware: snp.FirmwareVersion{Major: 1, Minor: 55, Build: 40},
	},
	snp.Turin: {
		cpuid:         snp.CPUID{Family: 0x1A, Model: 0x02, Stepping: 1},
		certName:      "Turin",
		structVersion: 1,
		tcb:           snp.Components{FMC: 1, Bootloader: 3, TEE: 2, SNP: 5, Microcode: 90},
		firmware:      snp.FirmwareVersion{Major: 1, Minor: 55, Build: 58},
	},
}
