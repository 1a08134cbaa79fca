package ops

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"skr/api"
	"skr/internal/accept"
	"skr/internal/refusal"
)

// Part is something that must be ready.
type Part struct {
	// Name is of letters a-z and underscores.
	Name string
	// Err returns why the part is not ready, nil if it is. It must not block. Any caller
	// may read the public sentence of a refusal, and nothing of another error.
	Err func() error
}

// Parts must all be ready for skr to be ready; without any it always is. Every listener
// gives the same answer:
//
//	parts := ops.Parts{{Name: "evidence", Err: collected}, {Name: "audit", Err: written}}
//	answer := parts.Answer(log) // of GET /readyz
type Parts []Part

var partName = regexp.MustCompile(`^[a-z_]+$`)

// Check returns an error if a part has no name of its own or no Err.
func (p Parts) Check() error {
	seen := map[string]bool{}
	for _, part := range p {
		if !partName.MatchString(part.Name) || seen[part.Name] || part.Err == nil {
			return fmt.Errorf("part %q has a bad name, a name twice, or nothing to ask", part.Name)
		}
		seen[part.Name] = true
	}
	return nil
}

// Err returns why skr is not ready, for the log; nil if it is.
func (p Parts) Err() error {
	var failed []error
	for _, part := range p {
		if err := part.Err(); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", part.Name, err))
		}
	}
	return errors.Join(failed...)
}

// hidden stands for an error that is not a refusal.
const hidden = "not ready, see the log of skr"

// Answer returns what any caller may read. tell gets each part that is not ready.
func (p Parts) Answer(tell func(part string, err error)) api.ReadyResponse {
	answer := api.ReadyResponse{Ready: true, Parts: map[string]string{}}
	for _, part := range p {
		answer.Parts[part.Name] = api.PartOK
		if err := part.Err(); err != nil {
			tell(part.Name, err)
			answer.Ready, answer.Parts[part.Name] = false, public(err)
		}
	}
	return answer
}

// maxReason bounds a reason in bytes: it may quote what a device answered.
const maxReason = 1 << 10

func public(err error) string {
	refused, ok := errors.AsType[*refusal.Error](err)
	if !ok {
		return hidden
	}
	reason := refused.Public()
	if len(reason) > maxReason {
		return strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	return reason
}

// WantsText reports whether a request for the readiness asks for lines and not for JSON: with
// ?verbose, as for Kubernetes, unless its Accept header prefers JSON, or with an Accept header
// that prefers text.
func WantsText(r *http.Request) bool {
	ranges := accept.Parse(r.Header["Accept"])
	text, object := ranges.Quality("text/plain"), ranges.Quality("application/json")
	if text != object {
		return text > object
	}
	return r.URL.Query().Has("verbose")
}

// TextType is the media type of the lines.
const TextType = "text/plain; charset=utf-8"
