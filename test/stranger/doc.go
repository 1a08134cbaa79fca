// Package stranger holds no code, only tests: it runs the real sidecar, as its
// own process, against servers that were written from the public protocols by
// somebody who has never seen the sidecar's code or the emulator. What passes
// here passes for the wire format's sake, and not because two programs of one
// author share a misreading.
//
// The servers are as plain as a third party would write them: net/http's
// ServeMux with its path cleaning, maps through encoding/json, certificates
// from crypto/x509. They serve the public names (sharedeus.eus.attest.azure.net,
// myvault.vault.azure.net) through a small CONNECT proxy and one test CA, so the
// sidecar runs with nothing but its documented environment.
//
// The package imports the standard library only.
package stranger
