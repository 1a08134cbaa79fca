// Package hsm speaks to the Relying Party: Azure Key Vault or Managed HSM.
//
// A release takes an attestation token to the vault and brings back a key that
// only this guest can open. The vault reads the guest's [KEK] from the token,
// wraps the key to it and signs a statement about what it did:
//
//	id, err := vaults.Parse("myvault.vault.azure.net", "mykey")
//	wrapped, err := client.Release(ctx, id, hsm.Grant{Attestation: token, Access: access})
//	key, err := wrapped.Unwrap(kek.Decrypter(ctx))
//	defer key.Wipe()
//
// Each step leaves a value that needs no further checks. A [KeyID] is made only
// by [Vaults.Parse], and by [Vault.Key] of what an allowed vault wrote, so that no
// token leaves for a host or path that the operator did not allow. A [WrappedKey] is made only from a statement whose
// signature, certificate chain, host name, key id and algorithm were verified.
// A [Key] is made only where the private half fits the public half in that
// statement, or by [ReadKey] from a file of its owner.
//
// The package gets no access token and no attestation, and it does not look
// into revocation lists: a statement lives for seconds.
//
// Package releasepolicy has the other side: what a vault demands of a token.
package hsm
