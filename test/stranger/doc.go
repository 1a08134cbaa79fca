// Package stranger tests the real sidecar, in its own process, against servers of another
// author. That author wrote them from the public protocols, without knowledge of the
// sidecar's code or of the emulator. A test that passes here shows that the wire format is
// right. It cannot pass because two programs of one author share a misreading.
//
// The servers are as plain as a third party would write them: net/http's ServeMux with its
// path cleaning, maps through encoding/json, certificates from crypto/x509. They serve the
// public names (sharedeus.eus.attest.azure.net, myvault.vault.azure.net) through a small
// CONNECT proxy and one test CA. The sidecar therefore runs with its documented environment
// only.
//
// The package imports the standard library only.
package stranger
