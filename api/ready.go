package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// PartOK is the value of a part of [ReadyResponse] that is ready.
const PartOK = "ok"

// ReadyResponse answers GET /readyz, with 200 if skr is ready and with 503 if not.
type ReadyResponse struct {
	// Ready reports whether all parts are ready.
	Ready bool `json:"ready"`
	// Parts contains for each part PartOK, or why it is not ready.
	Parts map[string]string `json:"parts"`
}

// String returns "ready", or what is not, such as "audit: unavailable; evidence: no evidence: …".
func (r ReadyResponse) String() string {
	if r.Ready {
		return "ready"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Parts)) {
		if r.Parts[name] != PartOK {
			parts = append(parts, name+": "+r.Parts[name])
		}
	}
	return strings.Join(parts, "; ")
}

// Lines returns one line for each part and one for the result, as Kubernetes writes it for
// ?verbose: "[+]evidence ok", "[-]audit failed: …", "readyz check failed".
func (r ReadyResponse) Lines() string {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.Parts)) {
		if reason := r.Parts[name]; reason == PartOK {
			fmt.Fprintf(&lines, "[+]%s ok\n", name)
		} else {
			fmt.Fprintf(&lines, "[-]%s failed: %s\n", name, strings.Join(strings.Fields(reason), " "))
		}
	}
	result := "passed"
	if !r.Ready {
		result = "failed"
	}
	return lines.String() + "readyz check " + result + "\n"
}

// maxReady bounds the answer in bytes. It consists of a few sentences.
const maxReady = 64 << 10

// Ready returns whether skr is ready, and which parts are not. The reference sidecar does
// not have this route.
func (c *Client) Ready(ctx context.Context) (ReadyResponse, error) {
	var answer ReadyResponse
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+RouteReady, nil)
	if err != nil {
		return answer, fmt.Errorf("making the request: %w", err)
	}
	got, err := c.send(request, maxReady)
	if err != nil {
		return answer, err
	}
	if json.Unmarshal(got.body, &answer) == nil && answer.Parts != nil && answer.Ready == (got.status == http.StatusOK) {
		return answer, nil
	}
	if got.status == http.StatusOK {
		return ReadyResponse{}, errNotExpected
	}
	return ReadyResponse{}, got.refusal()
}
