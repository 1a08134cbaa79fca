package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

// Bounds on a list, in case a vault never ends it.
const (
	maxPages = 1000
	maxItems = 25_000
)

var errEndless = errors.New("the list does not end")

// List returns all keys, each in its newest version. It has the errors of [Vault.Make].
func (v *Vault) List(ctx context.Context) ([]Item, error) {
	return collect(ctx, v, action{listing, "", ""}, v.reader.NewListKeyPropertiesPager(nil),
		func(page azkeys.ListKeyPropertiesResponse) []*azkeys.KeyProperties { return page.Value }, readItemOf)
}

// Versions returns the versions of a key, the newest first. It has the errors of [Vault.Make].
func (v *Vault) Versions(ctx context.Context, name string) ([]Item, error) {
	items, err := collect(ctx, v, action{listing, name, ""}, v.reader.NewListKeyPropertiesVersionsPager(name, nil),
		func(page azkeys.ListKeyPropertiesVersionsResponse) []*azkeys.KeyProperties { return page.Value }, readItemOf)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if !strings.EqualFold(item.ID.Name(), name) || item.ID.Version() == "" {
			return nil, unusable(fmt.Errorf("%q is not a version of %q", item.ID, name))
		}
	}
	slices.SortStableFunc(items, func(a, b Item) int { return b.Created.Compare(a.Created) })
	return items, nil
}

// Deleted returns the deleted keys that can be recovered. It has the errors of [Vault.Make].
func (v *Vault) Deleted(ctx context.Context) ([]DeletedKey, error) {
	return collect(ctx, v, action{finding, "", ""}, v.reader.NewListDeletedKeyPropertiesPager(nil),
		func(page azkeys.ListDeletedKeyPropertiesResponse) []*azkeys.DeletedKeyProperties { return page.Value }, readDeleted)
}

// collect reads all pages.
func collect[Page, Remote, Read any](
	ctx context.Context, v *Vault, a action, pager *runtime.Pager[Page], remote func(Page) []Remote, read func(*Vault, Remote) (Read, error),
) (all []Read, err error) {
	for pages := 0; pager.More(); pages++ {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, v.refused(a, err)
		}
		for _, each := range remote(page) {
			item, err := read(v, each)
			if err != nil {
				return nil, unusable(err)
			}
			all = append(all, item)
		}
		if pages == maxPages || len(all) > maxItems {
			return nil, unusable(errEndless)
		}
	}
	return all, nil
}

func readItemOf(v *Vault, p *azkeys.KeyProperties) (Item, error) { return readItem(v.vault, p) }
