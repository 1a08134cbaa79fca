package vtpm

import (
	"encoding/hex"
	"slices"

	"skr/attest/snp"
)

// paravisorKeys are ID_KEY_DIGESTs of Azure's confidential VMs: the SHA-384 of the key that
// signed the ID block of their paravisor. The firmware starts a guest with an ID block only
// if the signature verifies and the block contains the guest's launch digest (AMD 56860,
// SNP_LAUNCH_FINISH). So only the owner of the key can start a guest with such a digest.
//
// Microsoft does not publish such a list. Each of these appears with the claim
// x-ms-compliance-status "azure-compliant-cvm" in public tokens that Azure Attestation signed,
// and in the list of another verifier. That Microsoft signs only paravisors with these keys is
// an inference: public reports of Azure's utility VMs, in which a container may choose
// REPORT_DATA, all have other digests. Keys of 2022 are not included.
var paravisorKeys = []string{
	// Tokens and reports of 2025 and 2026, Milan and Genoa (Atlas-Authorization/pca,
	// packages/pca/fixtures/real-azure-maa/sevsnp-token.jwt; Azure/azure-cleanroom, src/cvm).
	"942fd93ebde6ea7a96efadeafc60f1c6b3d10e703b1dafd7555b92f7f3d32d0e006767648cba5b102af3d65756af4177",
	// Tokens and reports of 2023 and 2024, Milan (edgelesssys/constellation,
	// internal/attestation/idkeydigest/idkeydigest.go, DefaultsFor Azure).
	"0356215882a825279a85b300b0b742931d113bf7e32dde2e50ffde7ec743ca491ecdd7f336dc28a6e0b2bb57af7a44a3",
}

// KnownParavisor reports whether a key that is known to sign Azure's paravisors signed the
// guest's ID block. Otherwise REPORT_DATA over HCL claims proves nothing, because the owner of
// any SEV-SNP machine can get a report over invented claims.
func KnownParavisor(report *snp.Report) bool {
	digest := report.IDKeyDigest()
	return slices.Contains(paravisorKeys, hex.EncodeToString(digest[:]))
}
