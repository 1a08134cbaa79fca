package provision

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"skr/internal/refusal"
)

// Attributes are changes to one version of a key. Nil members stay as they are.
type Attributes struct {
	Enabled *bool
	// Expires cannot be removed: the services leave it as it is if a request omits it.
	Expires *time.Time
	// Tags replace all tags.
	Tags map[string]string
}

// Update changes a version of a key that was read, and reads it back. If the vault stored something
// else, the error is [refusal.Untrusted]. Its other errors are those of [Vault.Make].
func (v *Vault) Update(ctx context.Context, before *Key, a Attributes) (*Key, error) {
	id := before.ID
	if _, err := v.writer.UpdateKey(ctx, id.Name(), id.Version(), a.parameters(), nil); err != nil {
		return nil, v.refused(action{updating, id.Name(), id.Advice()}, err)
	}
	stored, err := v.Read(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("the key %q was changed; reading it back: %w", id, err)
	}
	if !a.metBy(stored) {
		return nil, refusal.Newf(refusal.Untrusted, "the vault accepted the change of %q, and its description differs; look at it with skrctl key show", id)
	}
	return stored, nil
}

// parameters are those of the Azure REST API specification, Key Vault 7.4, UpdateKey.
func (a Attributes) parameters() azkeys.UpdateKeyParameters {
	p := azkeys.UpdateKeyParameters{}
	if a.Enabled != nil || a.Expires != nil {
		p.KeyAttributes = &azkeys.KeyAttributes{Enabled: a.Enabled, Expires: a.Expires}
	}
	if a.Tags != nil {
		p.Tags = make(map[string]*string, len(a.Tags))
		for name, text := range a.Tags {
			p.Tags[name] = &text
		}
	}
	return p
}

func (a Attributes) metBy(k *Key) bool {
	return (a.Enabled == nil || *a.Enabled == k.Enabled) &&
		(a.Expires == nil || a.Expires.Equal(k.Expires)) &&
		(a.Tags == nil || maps.Equal(a.Tags, k.Tags))
}
