package conformance

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// want is what an answer must be. Zero fields are not compared.
type want struct {
	status []int
	// members lists members of the JSON body with their types: "key.kid:string key.n:b64(256)
	// value[].tags?:object". A type is null, bool, int, string, array, object, list (an array that is
	// not empty), b64 (base64url without padding) or b64(N) (of N bytes), or several with | between
	// them. A member with ? may be missing.
	members string
	equal   map[string]string // texts and numbers at paths of the body
	code    string            // the member error.code
	inner   string            // the code inside of the error's innererror
	message string            // part of the error's message
	empty   bool              // no body
	headers map[string]string // regular expressions for values
}

// errorShape is the body of every error.
const errorShape = "error.code:string error.message:string"

// refused returns what an error with that status and code must be.
func refused(status int, code string) want {
	return want{status: []int{status}, members: errorShape, code: code}
}

// saying adds a part of the message.
func (w want) saying(message string) want {
	w.message = message
	return w
}

// inside adds the inner code.
func (w want) inside(code string) want {
	w.inner = code
	return w
}

// with adds headers.
func (w want) with(headers map[string]string) want {
	w.headers = headers
	return w
}

// describe lists the expectations for the report.
func (w want) describe() (all []string) {
	if len(w.status) > 0 {
		all = append(all, "status "+strings.Trim(strings.ReplaceAll(fmt.Sprint(w.status), " ", " or "), "[]"))
	}
	if w.members != "" {
		all = append(all, w.members)
	}
	for _, path := range slices.Sorted(maps.Keys(w.equal)) {
		all = append(all, path+" = "+w.equal[path])
	}
	for _, text := range []struct{ name, value string }{{"error.code", w.code}, {"inner code", w.inner}, {"message with", w.message}} {
		if text.value != "" {
			all = append(all, text.name+" "+text.value)
		}
	}
	if w.empty {
		all = append(all, "no body")
	}
	for _, name := range slices.Sorted(maps.Keys(w.headers)) {
		all = append(all, "header "+name+": "+w.headers[name])
	}
	return all
}

// compare returns how an answer differs.
func (w want) compare(a *answer) (found []string) {
	note := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if len(w.status) > 0 && !slices.Contains(w.status, a.status) {
		note("status %d", a.status)
	}
	if w.empty && len(a.body) > 0 {
		note("there is a body of %d bytes", len(a.body))
	}
	if w.members != "" && a.json == nil {
		note("the body is not JSON")
	}
	found = append(found, compareMembers(a.json, w.members)...)
	for _, path := range slices.Sorted(maps.Keys(w.equal)) {
		if got := valueAt(a.json, path); got != w.equal[path] {
			note("%s is %s", path, redact(got))
		}
	}
	w.compareError(a, note)
	for _, name := range slices.Sorted(maps.Keys(w.headers)) {
		if value := strings.Join(a.header.Values(name), ", "); !regexp.MustCompile(w.headers[name]).MatchString(value) {
			note("header %s is %q", name, redact(value))
		}
	}
	return found
}

func (w want) compareError(a *answer, note func(string, ...any)) {
	if got := a.text("error.code"); w.code != "" && got != w.code {
		note("error.code is %q", redact(got))
	}
	if got := innerCode(a); w.inner != "" && got != w.inner {
		note("the inner code is %q", redact(got))
	}
	if got := a.text("error.message"); w.message != "" && !strings.Contains(got, w.message) {
		note("the message is %q", redact(got))
	}
}

// innerCode returns the code inside of an error, which the services spell in two ways.
func innerCode(a *answer) string {
	for _, path := range []string{"error.innererror.code", "error.innerError.code"} {
		if code := a.text(path); code != "" {
			return code
		}
	}
	return ""
}
