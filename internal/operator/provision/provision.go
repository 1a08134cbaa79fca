// Package provision makes keys of Key Vault and Managed HSM that can be released,
// and looks at them: the work of whoever manages keys, not of the sidecar.
//
// A [Request] is a key that was checked before anybody is asked: type, size,
// operations and release policy fit each other and the vault. [Request.Preview]
// is what would be sent. A [Vault] sends it with the access token of one person
// or pipeline, reads the key back, and compares it with what was asked for:
//
//	request, err := provision.NewRequest(provision.Spec{ID: id, Policy: policy})
//	vault, err := provision.Open(provision.Config{Vault: id.Vault(), Access: token, Reads: reads, Writes: writes})
//	key, err := vault.Make(ctx, request)
//
// The wire is azkeys's, over a transport that sends the token to that vault alone.
//
// It judges no release policy, deletes nothing and changes no key that exists. Of
// an imported key, copies that the SDK made stay on the heap until their memory is
// used again: a process that imports should end soon.
package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/hsm"
	"skr/internal/refusal"
	"skr/internal/secmem"
)

// Config says which vault, as whom, and over what.
type Config struct {
	// Vault is the only host that the token is sent to.
	Vault hsm.Vault
	// Access is a token for the vault's audience.
	Access secmem.Text
	// Reads carries what may be sent again, usually with retries.
	Reads policy.Transporter
	// Writes carries what may not: a create whose answer was lost, and that is sent
	// again, makes a second version of the key.
	Writes policy.Transporter
	// APIVersion of the data plane; "" means 7.4.
	APIVersion string
}

// Vault is one vault as one identity sees it.
type Vault struct {
	vault          hsm.Vault
	access         secmem.Text
	reader, writer *azkeys.Client
}

// Open asks nobody yet.
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
	return &Vault{c.Vault, c.Access, reader, writer}, nil
}

// Make creates or imports the key and reads it back. Where the vault has stored
// something else than was asked for, the error is [refusal.Untrusted], and the key
// is there.
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
			"the vault made the key %q, but not as it was asked for; do not use it", stored.ID), err)
	}
	return stored, nil
}

// Read is the key, or its newest version. Its errors are those of [Vault.Make].
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

// Bounds on a list: a vault that never ends it must not keep us.
const (
	maxPages = 1000
	maxItems = 25_000
)

var errEndless = errors.New("there is no end to it")

// List is all keys, each as its newest version. Its errors are those of [Vault.Make].
func (v *Vault) List(ctx context.Context) ([]Item, error) {
	var items []Item
	pager := v.reader.NewListKeyPropertiesPager(nil)
	for pages := 0; pager.More(); pages++ {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, v.refused(action{listing, "", ""}, err)
		}
		if items, err = v.add(items, page.Value); err != nil {
			return nil, unusable(err)
		}
		if pages == maxPages || len(items) > maxItems {
			return nil, unusable(errEndless)
		}
	}
	return items, nil
}

func (v *Vault) add(items []Item, page []*azkeys.KeyProperties) ([]Item, error) {
	for _, properties := range page {
		item, err := readItem(v.vault, properties)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func unusable(cause error) error {
	return refusal.Because(refusal.Untrusted, "the vault's answer cannot be used", cause)
}
