package entra

import (
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"skr/internal/secmem"
)

// margin is the time before the expiry of a token in which it is not used. MSAL has the same.
const margin = 5 * time.Minute

// tokens caches a token for each audience until MSAL would request a new one. A lookup in the cache of MSAL
// takes a twentieth of the time of a warm release.
type tokens struct {
	mu   sync.Mutex
	kept map[string]keptToken // by audience; the allow-list limits their number
}

type keptToken struct {
	text secmem.Text
	ends time.Time
}

func (t *tokens) get(audience string) (token secmem.Text, found bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, found := t.kept[audience]
	return kept.text, found && time.Now().Before(kept.ends)
}

func (t *tokens) keep(audience string, got azcore.AccessToken) secmem.Text {
	ends := got.ExpiresOn.Add(-margin)
	if !got.RefreshOn.IsZero() && got.RefreshOn.Before(ends) {
		ends = got.RefreshOn
	}
	text := secmem.NewText(got.Token)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil {
		t.kept = make(map[string]keptToken)
	}
	t.kept[audience] = keptToken{text, ends}
	return text
}
