// Package provision manages keys of Key Vault and Managed HSM that can be released: it creates,
// imports, rotates, reads, lists, changes, deletes, recovers, backs up and restores them. Operators
// use it; the sidecar does not.
//
// A [Request] is a key that is checked before the vault is asked: type, size, operations and
// release policy fit each other and the vault. [Request.Preview] returns what would be sent. A
// [Vault] sends it with the access token of one person or pipeline, reads the key back, and
// compares it with the request:
//
//	request, err := provision.NewRequest(provision.Spec{ID: id, Policy: policy})
//	vault, err := provision.Open(provision.Config{Vault: id.Vault(), Access: token, Reads: reads, Writes: writes})
//	key, err := vault.Make(ctx, request)
//
// A [PolicyChange] replaces the release policy of a key that was read before. [Vault.Change] writes
// it only if the key is still as it was read.
//
// Requests go through azkeys, over a transport that sends the token to that vault only.
//
// The package does not check release policies.
// The SDK copies an imported key on the heap, and the copies stay until their memory is used
// again: a process that imports should end soon.
package provision

import (
	"context"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/hsm"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// Config is a vault, an identity and the transports to use.
type Config struct {
	// Vault is the only host that the token is sent to.
	Vault hsm.Vault
	// Access is a token for the vault's audience.
	Access secmem.Text
	// Reads sends requests that may be repeated, usually with retries.
	Reads policy.Transporter
	// Writes sends requests that must not be repeated: repeating a create whose answer was
	// lost makes a second version of the key.
	Writes policy.Transporter
	// APIVersion of the data plane; "" means 7.4.
	APIVersion string
	// Patience is how to wait for the vault to complete a change; its zero value is usable.
	Patience Patience
}

// Vault is one vault as one identity sees it.
type Vault struct {
	vault          hsm.Vault
	access         secmem.Text
	reader, writer *azkeys.Client
	patience       Patience
}

// Open returns a Vault. It makes no request yet.
func Open(c Config) (*Vault, error) {
	connection := hsm.Connection{Vault: c.Vault, Access: c.Access, Transport: c.Reads, APIVersion: c.APIVersion}
	reader, err := connection.Open()
	if err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	connection.Transport = c.Writes
	writer, err := connection.Open()
	if err != nil {
		return nil, fmt.Errorf("opening the vault: %w", err)
	}
	return &Vault{c.Vault, c.Access, reader, writer, c.Patience.withDefaults()}, nil
}

// Make creates or imports the key and reads it back. If the vault stored something else than
// was requested, the error is [refusal.Untrusted], and the key exists.
//
// Its other errors: [refusal.ManagementRejected], [refusal.KeyNotFound],
// [refusal.Throttled], [refusal.Unavailable] and [refusal.Timeout].
func (v *Vault) Make(ctx context.Context, r *Request) (*Key, error) {
	bundle, err := r.send(ctx, v.writer)
	if err != nil {
		return nil, v.refused(r.action(), err)
	}
	made, err := readKey(v.vault, bundle)
	if err != nil {
		return nil, unusable(err)
	}
	stored, err := v.Read(ctx, made.ID)
	if err != nil {
		return nil, fmt.Errorf("the key %q was made; reading it back: %w", made.ID, err)
	}
	if err := r.compare(stored); err != nil {
		return nil, refusal.Because(refusal.Untrusted, fmt.Sprintf(
			"the vault made the key %q, but not as requested; do not use it", stored.ID), err)
	}
	return stored, nil
}

// Read returns the key, or its newest version. It has the errors of [Vault.Make].
func (v *Vault) Read(ctx context.Context, id hsm.KeyID) (*Key, error) {
	answer, err := v.reader.GetKey(ctx, id.Name(), id.Version(), nil)
	if err != nil {
		return nil, v.refused(action{reading, id.Name(), id.Advice()}, err)
	}
	key, err := readKey(v.vault, answer.KeyBundle)
	if err != nil {
		return nil, unusable(err)
	}
	if !id.Covers(key.ID) {
		return nil, unusable(fmt.Errorf("it is of %q", key.ID))
	}
	return key, nil
}

func unusable(cause error) error {
	return refusal.Because(refusal.Untrusted, "the vault's answer cannot be used", cause)
}
