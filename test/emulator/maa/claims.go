package maa

import (
	"encoding/hex"
	"strconv"
	"time"

	"skr/attest/snp"
)

// Values of x-ms-compliance-status. The Kata value appears only in published
// client code; no public token has it.
const (
	compliantVM   = "azure-compliant-cvm"
	compliantUVM  = "azure-compliant-uvm"
	compliantKata = "azure-signed-katacc-uvm"
)

// compliantFeeds maps the feed of a UVM endorsement to its compliance status.
var compliantFeeds = map[string]string{
	"ContainerPlat-AMD-UVM": compliantUVM,
	"ConfAKS-AMD-UVM":       compliantKata,
}

// tokenLife is the same in all real tokens seen from 2022 to 2026.
const tokenLife = 8 * time.Hour

// Bits of the guest's POLICY, AMD 56860 table 10. UNCONFIRMED: the claims for
// bits 21 to 25, which are false in all real tokens.
const (
	bitSMT              = 16
	bitMigration        = 18
	bitDebug            = 19
	bitSingleSocket     = 20
	bitCXL              = 21
	bitMemAES256XTS     = 22
	bitRAPLDisabled     = 23
	bitCiphertextHiding = 24
	bitPageSwapDisabled = 25
)

const claimPrefix = "x-ms-sevsnpvm-"

// claims returns the payload of the token. The set of claims and their types
// match real tokens of 2023, 2025 and 2026.
func (i *Instance) claims(e *evidence) map[string]any {
	c := i.standardClaims("sevsnpvm")
	i.addIsolation(c, e)
	if e.nonce != "" {
		c["nonce"] = e.nonce
	}
	return c
}

// standardClaims returns the claims of every token. kind is the type whose policy applied.
func (i *Instance) standardClaims(kind string) map[string]any {
	now := i.config.Now()
	return map[string]any{
		"exp":              now.Add(tokenLife).Unix(),
		"iat":              now.Unix(),
		"nbf":              now.Unix(),
		"iss":              i.config.Issuer,
		"jti":              randomHex(32),
		"x-ms-policy-hash": i.policies.of(kind).hash,
		"x-ms-ver":         "1.0",
	}
}

// addIsolation adds the claims about the processor, the launch, and the bound
// data.
func (i *Instance) addIsolation(c map[string]any, e *evidence) {
	c["x-ms-attestation-type"] = "sevsnpvm"
	e.addReport(c)
	e.addSecurityVersions(c)
	e.addEndorsement(c)
	e.addBoundData(c)
	if i.config.Claims2025 {
		e.add2025(c)
	}
}

func (e *evidence) addReport(c map[string]any) {
	r := e.report
	c[claimPrefix+"guestsvn"] = r.GuestSVN()
	c[claimPrefix+"familyId"] = hexOf(r.FamilyID())
	c[claimPrefix+"imageId"] = hexOf(r.ImageID())
	c[claimPrefix+"vmpl"] = r.VMPL()
	c[claimPrefix+"is-debuggable"] = e.policyBit(bitDebug)
	c[claimPrefix+"migration-allowed"] = e.policyBit(bitMigration)
	c[claimPrefix+"smt-allowed"] = e.policyBit(bitSMT)
	c[claimPrefix+"reportdata"] = hexOf(r.ReportData())
	c[claimPrefix+"launchmeasurement"] = hexOf(r.Measurement())
	c[claimPrefix+"hostdata"] = hexOf(r.HostData())
	c[claimPrefix+"idkeydigest"] = hexOf(r.IDKeyDigest())
	c[claimPrefix+"authorkeydigest"] = hexOf(r.AuthorKeyDigest())
	c[claimPrefix+"reportid"] = hexOf(r.ReportID())
}

// addSecurityVersions adds the versions of REPORTED_TCB, not of CURRENT_TCB.
// Version 2 reports do not name the product; the chain does.
func (e *evidence) addSecurityVersions(c map[string]any) {
	tcb := snp.NewTCB(e.report.ReportedTCB().Raw(), e.chain.Product()).Components()
	c[claimPrefix+"bootloader-svn"] = tcb.Bootloader
	c[claimPrefix+"tee-svn"] = tcb.TEE
	c[claimPrefix+"snpfw-svn"] = tcb.SNP
	c[claimPrefix+"microcode-svn"] = tcb.Microcode
}

// addEndorsement copies the endorsement's payload; its guestsvn is a string.
// UNCONFIRMED: whether the newer payload member …-guestsvn-int is copied too.
func (e *evidence) addEndorsement(c map[string]any) {
	if e.compliance != "" {
		c["x-ms-compliance-status"] = e.compliance
	}
	if e.endorsement == nil {
		return
	}
	c[claimPrefix+"uvm-endorsement"] = map[string]string{
		claimPrefix + "guestsvn":          strconv.FormatUint(e.endorsement.GuestSVN(), 10),
		claimPrefix + "launchmeasurement": hexOf(e.endorsement.Measurement()),
	}
	c[claimPrefix+"uvm-endorsement-headers"] = map[string]string{
		"feed": e.endorsement.Feed(),
		"iss":  e.endorsement.Issuer(),
	}
}

func (e *evidence) addBoundData(c map[string]any) {
	if e.runtime.claims != nil {
		c["x-ms-runtime"] = e.runtime.claims
	}
	if e.initTime.claims != nil {
		c["x-ms-inittime"] = e.initTime.claims
	}
}

func (e *evidence) add2025(c map[string]any) {
	product := e.chain.Product()
	c[claimPrefix+"chip-family"] = product.String()
	c[claimPrefix+"chipid"] = hex.EncodeToString(e.report.ChipID().HWID(product))
	c[claimPrefix+"singlesocket"] = e.policyBit(bitSingleSocket)
	c[claimPrefix+"cxl-allowed"] = e.policyBit(bitCXL)
	c[claimPrefix+"mem-aes256-xts-required"] = e.policyBit(bitMemAES256XTS)
	c[claimPrefix+"rapl-disabled"] = e.policyBit(bitRAPLDisabled)
	c[claimPrefix+"ciphertext-hiding-dram-enabled"] = e.policyBit(bitCiphertextHiding)
	c[claimPrefix+"page-swap-disabled"] = e.policyBit(bitPageSwapDisabled)
}

func (e *evidence) policyBit(bit uint) bool {
	return uint64(e.report.Policy())>>bit&1 == 1
}

func hexOf[T ~[16]byte | ~[32]byte | ~[48]byte | ~[64]byte](digest T) string {
	raw := make([]byte, len(digest))
	for i := range raw {
		raw[i] = digest[i]
	}
	return hex.EncodeToString(raw)
}
