// Package azureguest is a client of Azure Attestation's /attest/AzureGuest for
// tests. Its requests have the form of Microsoft's own client
// (Azure/confidential-computing-cvm-guest-attestation, AttestationClient), and
// it is independent of the product's own client.
//
//	guest := azureguest.New(t, machine.Address())
//	guest.Log, guest.Chain = machine.EventLog(), chain
//	info := guest.Info(t)
//	info.TpmInfo.PcrQuote[0] ^= 1              // a test of refusals changes something
//	answer := post(azureguest.Path, info.Body(t))
//	token, err := guest.Open(t, answer)
package azureguest
