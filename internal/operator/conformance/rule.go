package conformance

import (
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"skr/api"
	"skr/internal/strictjson"
)

// rule returns what is wrong with an answer, or "". The text holds no value of the answer.
type rule func(*answer) string

// all returns the first thing that is wrong.
func all(rules ...rule) rule {
	return func(a *answer) string {
		for _, r := range rules {
			if broken := r(a); broken != "" {
				return broken
			}
		}
		return ""
	}
}

// status wants one of the statuses.
func status(wanted ...int) rule {
	texts := make([]string, len(wanted))
	for i, w := range wanted {
		texts[i] = strconv.Itoa(w)
	}
	return func(a *answer) string {
		if slices.Contains(wanted, a.status) {
			return ""
		}
		return fmt.Sprintf("the status is %d, not %s", a.status, strings.Join(texts, " or "))
	}
}

// noResult wants an error. Clients of the reference sidecar take 200 to 207 for a success.
func noResult(a *answer) string {
	if a.status >= http.StatusBadRequest {
		return ""
	}
	return fmt.Sprintf("the status is %d, which clients take for a success", a.status)
}

// isJSON wants a JSON object with that content type.
func isJSON(a *answer) string {
	if media := mediaType(a.header); media != "application/json" {
		return fmt.Sprintf("the content type is %s, not application/json", media)
	}
	if err := (strictjson.Decoder{}).Members(a.body, func(string, []byte) error { return nil }); err != nil {
		return "the body is not one JSON object"
	}
	return ""
}

// result wants status 200 and a JSON object in which each member is a string of its form.
func result(members map[string]form) rule {
	return all(status(http.StatusOK), isJSON, func(a *answer) string {
		for _, name := range sortedNames(members) {
			value := member(a.body, name)
			text, ok := strictjson.Text(value)
			if !ok {
				return fmt.Sprintf("member %s is missing or is not a string", name)
			}
			broken := members[name](text)
			wipeCopy(value, text)
			if broken != "" {
				return fmt.Sprintf("member %s %s", name, broken)
			}
		}
		return ""
	})
}

// refused wants an error with the code and the status that belongs to it, or with one of the statuses.
func refused(code api.Code, statuses ...int) rule {
	if len(statuses) == 0 {
		statuses = []int{code.HTTPStatus()}
	}
	return all(status(statuses...), isJSON, func(a *answer) string {
		if got := codeOf(a); got != code {
			return fmt.Sprintf("the code is not %s", code)
		}
		if id, _ := textOf(a.body, "request_id"); string(id) != a.header.Get(headerRequestID) {
			return "request_id is not X-Request-Id"
		}
		return ""
	})
}

// anyRefusal wants an error of any documented code.
func anyRefusal(a *answer) string {
	if broken := all(noResult, isJSON)(a); broken != "" || codeOf(a) != "" {
		return broken
	}
	return "the error has no code of api/openapi.yaml"
}

// has wants a header of that form.
func has(name string, form *regexp.Regexp) rule {
	return func(a *answer) string {
		if !form.MatchString(a.header.Get(name)) {
			return fmt.Sprintf("header %s is missing or malformed", name)
		}
		return ""
	}
}

// member returns the JSON of a member, or nil. It shares memory with the body.
func member(body []byte, name string) []byte {
	var found []byte
	err := strictjson.Decoder{}.Members(body, func(n string, value []byte) error {
		if n == name {
			found = value
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return found
}

// textOf returns the string of a member. It may share memory with the body.
func textOf(body []byte, name string) ([]byte, bool) { return strictjson.Text(member(body, name)) }

var mediaForm = regexp.MustCompile(`^[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,40}$`)

// mediaType returns the content type without its parameters, in words that can be printed.
func mediaType(h http.Header) string {
	text := h.Get("Content-Type")
	if text == "" {
		return "(none)"
	}
	if media, _, err := mime.ParseMediaType(text); err == nil && mediaForm.MatchString(media) {
		return media
	}
	return "(malformed)"
}
