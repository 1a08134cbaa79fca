package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"skr/api"
	"skr/internal/strictjson"
)

// document is api/openapi.yaml.
type document struct{ spec *openapi3.T }

// described reads the document once.
var described = sync.OnceValues(func() (*document, error) {
	spec, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("reading the document of the API: %w", err)
	}
	return &document{spec}, nil
})

// input prepares the validation of a request. A route or method that the document lacks has the
// answer BadRequest, as the document says in words.
func (d *document) input(p probe) (input *openapi3filter.RequestValidationInput, known bool, err error) {
	request, err := p.request(context.Background(), "http://localhost:8080")
	if err != nil {
		return nil, false, err
	}
	path := strings.TrimSuffix(request.URL.Path, "/")
	route := &routers.Route{Spec: d.spec, Path: path, PathItem: d.spec.Paths.Find(path), Method: p.method}
	if route.PathItem != nil {
		route.Operation = route.PathItem.GetOperation(p.method)
	}
	known = route.Operation != nil
	if !known {
		refused := &openapi3.ResponseRef{Value: d.spec.Components.Responses["BadRequest"].Value}
		route.Operation = &openapi3.Operation{Responses: openapi3.NewResponses(
			openapi3.WithStatus(http.StatusNotFound, refused), openapi3.WithStatus(http.StatusMethodNotAllowed, refused))}
	}
	return &openapi3filter.RequestValidationInput{Request: request, Route: route, QueryParams: request.URL.Query()}, known, nil
}

// agrees returns an error if the document says something else of the request than the probe. Nothing
// is sent then: the answer would be judged wrongly.
func (d *document) agrees(p probe) error {
	refusal := d.allows(p)
	switch {
	case p.verdict == good && refusal != nil:
		return fmt.Errorf("check %s: api/openapi.yaml refuses the request, which should be good", p.name)
	case p.verdict == bad && refusal == nil:
		return fmt.Errorf("check %s: api/openapi.yaml allows the request, which should be bad", p.name)
	}
	return nil
}

// allows returns an error if the document refuses the request.
func (d *document) allows(p probe) error {
	input, known, err := d.input(p)
	if err != nil {
		return err
	}
	if !known {
		return errors.New("no such route or method")
	}
	return openapi3filter.ValidateRequest(context.Background(), input)
}

// describes returns the rule that the document has the answer: status, content type, headers, schema.
func (d *document) describes(p probe) rule {
	return func(a *answer) string {
		input, _, err := d.input(p)
		if err != nil {
			return "the request cannot be made"
		}
		validated := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: input, Status: a.status, Header: a.header,
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		}
		validated.SetBodyBytes(withheld(a.body))
		return difference(openapi3filter.ValidateResponse(context.Background(), validated), a)
	}
}

// secretMembers of an answer do not reach the validator, which copies its input.
var secretMembers = []string{"key", "token"}

// withheld returns the body with a placeholder for each secret string. Text that is not a JSON object
// may be a key as a whole, and is replaced by text that is no JSON either.
func withheld(body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	var out bytes.Buffer
	out.WriteByte('{')
	err := strictjson.Decoder{}.Members(body, func(name string, value []byte) error {
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		quoted, _ := json.Marshal(name) // a string always has a JSON form
		out.Write(append(quoted, ':'))
		if text, ok := strictjson.Text(value); ok && len(text) > 0 && slices.Contains(secretMembers, name) {
			value = []byte(`"withheld"`)
		}
		out.Write(value)
		return nil
	})
	if err != nil {
		return []byte("withheld")
	}
	out.WriteByte('}')
	return out.Bytes()
}

// difference describes an error of the validator without its values: only the place, and the rule of
// the schema that is broken.
func difference(err error, a *answer) string {
	if err == nil {
		return ""
	}
	if broken := deepest(err); broken != nil {
		if unknown := unknownMember(broken, a.body); unknown != "" {
			return fmt.Sprintf("api/openapi.yaml has no member %s in the answer", unknown)
		}
		return fmt.Sprintf("api/openapi.yaml: %s of the answer breaks %q", place(broken.JSONPointer()), broken.SchemaField)
	}
	refused, ok := errors.AsType[*openapi3filter.ResponseError](err)
	switch {
	case !ok:
		return "api/openapi.yaml does not describe the answer"
	case strings.Contains(refused.Reason, "status is not supported"):
		return fmt.Sprintf("api/openapi.yaml has no status %d here", a.status)
	case strings.Contains(refused.Reason, "Content-Type"):
		return fmt.Sprintf("api/openapi.yaml has no content type %s here", mediaType(a.header))
	case strings.Contains(refused.Reason, "decode response body"):
		return "the body is not JSON"
	}
	return "api/openapi.yaml: " + refused.Reason
}

// deepest returns the schema error nearest to the value. Those of allOf and oneOf wrap others.
func deepest(err error) *openapi3.SchemaError {
	found, ok := errors.AsType[*openapi3.SchemaError](err)
	if !ok {
		return nil
	}
	for found.Origin != nil {
		inner, ok := errors.AsType[*openapi3.SchemaError](found.Origin)
		if !ok || inner == found {
			break
		}
		found = inner
	}
	return found
}

// unknownMember names the first member of the body that the broken schema lacks, or returns "" if
// another rule of the schema is broken.
func unknownMember(broken *openapi3.SchemaError, body []byte) string {
	if broken.SchemaField != "properties" || len(broken.JSONPointer()) > 0 || broken.Schema == nil || len(broken.Schema.Properties) == 0 {
		return ""
	}
	unknown := ""
	_ = strictjson.Decoder{}.Members(body, func(name string, _ []byte) error { // a malformed body has no such error
		if broken.Schema.Properties[name] == nil && unknown == "" {
			unknown = plainName(name)
		}
		return nil
	})
	return unknown
}

// place names a member by its path. Names that are no plain words are left out.
func place(pointer []string) string {
	if len(pointer) == 0 {
		return "the body"
	}
	names := make([]string, len(pointer))
	for i, name := range pointer {
		names[i] = plainName(name)
	}
	return "member " + strings.Join(names, ".")
}
