// Package clients runs clients of Azure Key Vault, unmodified, against keys that stay in a
// sidecar: crypto_listen of the real skr, with the emulator as the cloud. It is a module of its
// own, because the clients have many dependencies.
package clients
