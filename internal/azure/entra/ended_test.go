package entra

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"skr/internal/refusal"
)

// leaving is a credential whose caller leaves between the first answer and the second
// request.
type leaving struct {
	leave  context.CancelFunc
	status int
}

func (l leaving) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	seen, _ := ctx.Value(answerKey{}).(*answer)
	seen.status = l.status
	l.leave()
	<-ctx.Done()
	return azcore.AccessToken{}, errors.New("azidentity uses its own wording")
}

// If the caller leaves between two requests, the error counts neither as an answer of the
// identity provider nor as its absence.
func TestCallersEndIsNotTheProvidersFault(t *testing.T) {
	for _, status := range []int{0, http.StatusOK, http.StatusNotFound, http.StatusUnauthorized} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &Source{identity: identity{kind: managed, name: managed, provider: "IMDS", rejected: refusal.ReleaseRejected}, credential: leaving{cancel, status}}
		_, err := s.acquire(ctx, "https://vault.azure.net")
		if _, refused := errors.AsType[*refusal.Error](err); refused || !errors.Is(err, context.Canceled) {
			t.Errorf("after status %d: %v", status, err)
		}
	}
}
