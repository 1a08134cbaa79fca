// Package hsm is the client of the Relying Party: Azure Key Vault or Managed HSM.
//
// A release sends an attestation token to the vault and returns a key that only this
// guest can unwrap. The vault reads the guest's [KEK] from the token, wraps the key to it
// and signs a statement about what it did:
//
//	id, err := vaults.Parse("myvault.vault.azure.net", "mykey")
//	wrapped, err := client.Release(ctx, id, hsm.Grant{Attestation: token, Access: access})
//	key, err := wrapped.Unwrap(kek.Decrypter(ctx))
//	defer key.Wipe()
//
// Each step returns a value that needs no further checks. Only [Vaults.Parse] makes a
// [KeyID], and [Vault.Key] from what an allowed vault wrote, so that no token is sent to a
// host or path that the operator did not allow. A [WrappedKey] is made only from a
// statement whose signature, certificate chain, host name, key id and algorithm were
// verified. A [Key] is made only if the private half matches the public half in that
// statement, or by [ReadKey] from a file of its owner.
//
// The package does not fetch access tokens or attestations. It does not check revocation
// lists: a statement is used within seconds.
//
// Package releasepolicy has the other side: what a vault demands of a token.
package hsm
