package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// DeletedKey is a key that a vault has deleted and can recover, with all its versions.
type DeletedKey struct {
	Item
	// DeletedAt is when it was deleted, and PurgeAt when the vault purges it.
	DeletedAt, PurgeAt time.Time
}

func readDeleted(v *Vault, p *azkeys.DeletedKeyProperties) (DeletedKey, error) {
	if p == nil {
		return DeletedKey{}, errors.New("a deleted key is missing")
	}
	item, err := readItem(v.vault, &azkeys.KeyProperties{KID: p.KID, Attributes: p.Attributes, Tags: p.Tags})
	return DeletedKey{item, value(p.DeletedDate), value(p.ScheduledPurgeDate)}, err
}

func readDeletedKey(v *Vault, name string, d azkeys.DeletedKey) (DeletedKey, error) {
	p := azkeys.DeletedKeyProperties{Attributes: d.Attributes, Tags: d.Tags, DeletedDate: d.DeletedDate, ScheduledPurgeDate: d.ScheduledPurgeDate}
	if d.Key != nil {
		p.KID = d.Key.KID
	}
	deleted, err := readDeleted(v, &p)
	if err == nil && deleted.ID.Name() != name {
		err = fmt.Errorf("it is of %q", deleted.ID)
	}
	if err != nil {
		return DeletedKey{}, unusable(err)
	}
	return deleted, nil
}

// FindDeleted returns a deleted key. It has the errors of [Vault.Make].
func (v *Vault) FindDeleted(ctx context.Context, name string) (DeletedKey, error) {
	answer, err := v.reader.GetDeletedKey(ctx, name, nil)
	if err != nil {
		return DeletedKey{}, v.refused(action{finding, name, ""}, err)
	}
	return readDeletedKey(v, name, answer.DeletedKey)
}

// Delete deletes a key with all its versions, and waits until it can be recovered. It has the errors
// of [Vault.Make], and [ErrUnwatched] with the key.
func (v *Vault) Delete(ctx context.Context, name string) (DeletedKey, error) {
	answer, err := v.writer.DeleteKey(ctx, name, nil)
	if err != nil {
		return DeletedKey{}, v.refused(action{deleting, name, ""}, err)
	}
	deleted, err := readDeletedKey(v, name, answer.DeletedKey)
	if err != nil {
		return DeletedKey{}, err
	}
	return deleted, v.await(ctx, fmt.Sprintf("the deletion of %q", name), func(ctx context.Context) error {
		_, err := v.FindDeleted(ctx, name)
		return err
	})
}

// Recover recovers a deleted key with all its versions, and waits until it can be read. It has the
// errors of [Vault.Make], and [ErrUnwatched] with the key.
func (v *Vault) Recover(ctx context.Context, name string) (*Key, error) {
	answer, err := v.writer.RecoverDeletedKey(ctx, name, nil)
	if err != nil {
		return nil, v.refused(action{recovering, name, ""}, err)
	}
	return v.back(ctx, name, answer.KeyBundle, fmt.Sprintf("the recovery of %q", name))
}

// back waits until a key that the vault has accepted can be read.
func (v *Vault) back(ctx context.Context, name string, bundle azkeys.KeyBundle, change string) (*Key, error) {
	key, err := readKey(v.vault, bundle)
	if err == nil && name != "" && key.ID.Name() != name {
		err = fmt.Errorf("it is of %q", key.ID)
	}
	if err != nil {
		return nil, unusable(err)
	}
	return key, v.await(ctx, change, func(ctx context.Context) error {
		_, err := v.Read(ctx, key.ID)
		return err
	})
}

// Purge deletes a deleted key for ever. It has the errors of [Vault.Make].
func (v *Vault) Purge(ctx context.Context, name string) error {
	if _, err := v.writer.PurgeDeletedKey(ctx, name, nil); err != nil {
		return v.refused(action{purging, name, ""}, err)
	}
	return nil
}
