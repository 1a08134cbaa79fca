package entra

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// counted returns a new token for each request.
type counted struct {
	asked             int
	lifetime, refresh time.Duration // refresh may be zero
}

func (c *counted) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.asked++
	got := azcore.AccessToken{Token: fmt.Sprintf("%s %d", options.Scopes[0], c.asked), ExpiresOn: time.Now().Add(c.lifetime)}
	if c.refresh > 0 {
		got.RefreshOn = time.Now().Add(c.refresh)
	}
	return got, nil
}

func TestTokensAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		lifetime, refresh time.Duration
		wait              time.Duration
		asked             int
	}{
		"still good":               {time.Hour, 0, 55*time.Minute - time.Second, 1},
		"about to expire":          {time.Hour, 0, 55 * time.Minute, 2},
		"due for a refresh":        {24 * time.Hour, 12 * time.Hour, 12 * time.Hour, 2},
		"refresh not yet due":      {24 * time.Hour, 12 * time.Hour, 12*time.Hour - time.Second, 1},
		"refresh after the expiry": {time.Hour, 2 * time.Hour, 55 * time.Minute, 2},
		"lifetime too short":       {time.Minute, 0, 0, 2},
		"lifetime is zero":         {0, 0, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				credential := &counted{lifetime: c.lifetime, refresh: c.refresh}
				source := &Source{credential: credential}
				for range 2 {
					token, err := source.AccessToken(t.Context(), "https://vault.azure.net")
					if want := fmt.Sprintf("https://vault.azure.net/.default %d", credential.asked); err != nil || token.Reveal() != want {
						t.Errorf("%q, %v; want %q", token.Reveal(), err, want)
					}
					time.Sleep(c.wait)
				}
				if credential.asked != c.asked {
					t.Errorf("%d requests, want %d", credential.asked, c.asked)
				}
			})
		})
	}
}

func TestTokensPerAudience(t *testing.T) {
	source := &Source{credential: &counted{lifetime: time.Hour}}
	for _, audience := range []string{"https://vault.azure.net", "https://managedhsm.azure.net", "https://vault.azure.net"} {
		token, err := source.AccessToken(t.Context(), audience)
		if err != nil || token.Reveal()[:len(audience)] != audience {
			t.Errorf("%s: %q, %v", audience, token.Reveal(), err)
		}
	}
}
