// Package conformance judges the answers of Azure Attestation, Key Vault and Managed HSM: those of
// the emulator, and those of Azure itself. One suite judges both, so a difference between them is a
// check with two results.
//
//	report, err := conformance.Run(ctx, conformance.Config{
//		Authority: authority, Vaults: vaults, Transport: transport, Token: token,
//	})
//
// A check says what Azure documents or has been recorded to answer, and where that is written. Checks
// whose Source begins with UNCONFIRMED hold an assumption of the emulator. The checks read only, unless
// [Config.Write] is set. Then they create keys of their own, and delete and purge them at the end, after
// an interruption too.
//
// A [Report] has no secret: it describes answers by their members, types and sizes, and by texts from
// which names, identifiers and everything that looks like one are removed.
//
// The package does not verify what skr verifies. A client that is content may talk to a service that
// differs, and the other way round.
package conformance
