package entra

import (
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"skr/internal/secmem"
)

// margin before a token's end, in which azidentity no longer gives it out either.
const margin = 5 * time.Minute

// tokens keeps each audience's until azidentity would want a new one. To find that in
// its own cache takes it a twentieth of a warm release.
type tokens struct {
	mu   sync.Mutex
	kept map[string]keptToken // by audience; the allow-list bounds them
}

type keptToken struct {
	text secmem.Text
	ends time.Time
}

func (t *tokens) of(audience string) (token secmem.Text, found bool) {
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
