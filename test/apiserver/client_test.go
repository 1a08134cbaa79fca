package apiserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// resource is how the paths of the API name a kind.
type resource struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
}

// errWarned is the error of a request that the API server accepts with a warning.
var errWarned = errors.New("the API server warns")

// send sends a request. The error of a refused request has the API server's message.
func (s *server) send(ctx context.Context, method, path string, query url.Values, contentType, body string) (answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", contentType)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if answer, err = io.ReadAll(response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		var status struct{ Message string }
		if json.Unmarshal(answer, &status) != nil || status.Message == "" {
			status.Message = string(answer)
		}
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, status.Message)
	}
	if warnings := response.Header.Values("Warning"); len(warnings) > 0 {
		return answer, fmt.Errorf("%w: %s", errWarned, strings.Join(warnings, "; "))
	}
	return answer, nil
}

// get returns the status and the answer of a path.
func (s *server) get(ctx context.Context, path string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// head is the part of an object that tells where it belongs.
type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name         string `json:"name"`
		GenerateName string `json:"generateName"`
	} `json:"metadata"`
}

// path returns the path of the collection that holds objects like o.
func (s *server) path(ctx context.Context, o head, namespace string) (string, error) {
	prefix := "/apis/" + o.APIVersion
	if !strings.Contains(o.APIVersion, "/") {
		prefix = "/api/" + o.APIVersion
	}
	found, err := s.resource(ctx, prefix, o)
	if err != nil {
		return "", err
	}
	if found.Namespaced {
		prefix += "/namespaces/" + namespace
	}
	return prefix + "/" + found.Name, nil
}

// resource asks the API server for the name of a kind.
func (s *server) resource(ctx context.Context, prefix string, o head) (resource, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if found, known := s.resources[o.APIVersion+o.Kind]; known {
		return found, nil
	}
	answer, err := s.send(ctx, http.MethodGet, prefix, nil, "application/json", "")
	if err != nil {
		return resource{}, err
	}
	var list struct{ Resources []resource }
	if err := json.Unmarshal(answer, &list); err != nil {
		return resource{}, err
	}
	for _, r := range list.Resources {
		if !strings.Contains(r.Name, "/") { // not a part of another resource, such as its status
			s.resources[o.APIVersion+r.Kind] = r
		}
	}
	found, known := s.resources[o.APIVersion+o.Kind]
	if !known {
		return resource{}, fmt.Errorf("the API server has no kind %s in %s", o.Kind, o.APIVersion)
	}
	return found, nil
}

// create creates the object of one document. Unknown and duplicate fields are errors, and so
// are warnings. The text goes to the API server as it is.
func (s *server) create(ctx context.Context, document, namespace string, query url.Values) error {
	_, err := s.created(ctx, document, namespace, query)
	return err
}

func (s *server) created(ctx context.Context, document, namespace string, query url.Values) ([]byte, error) {
	var o head
	if err := yaml.Unmarshal([]byte(document), &o); err != nil {
		return nil, err
	}
	path, err := s.path(ctx, o, namespace)
	if err != nil {
		return nil, err
	}
	strict := url.Values{"fieldValidation": {"Strict"}}
	for name, values := range query {
		strict[name] = values
	}
	answer, err := s.send(ctx, http.MethodPost, path, strict, "application/yaml", document)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", o.Kind, cmp.Or(o.Metadata.Name, o.Metadata.GenerateName), err)
	}
	return answer, nil
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

// documents returns the documents of a text that are not only comments. Of a List it returns
// the items, as kubectl does: the API server has no such kind.
func documents(text string) (found []string, err error) {
	for _, document := range separator.Split(text, -1) {
		var object struct {
			Kind  string
			Items []json.RawMessage
		}
		content, err := yaml.YAMLToJSON([]byte(document))
		if err == nil {
			err = json.Unmarshal(content, &object)
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w in\n%s", err, document)
		case object.Kind == "List":
			for _, item := range object.Items {
				found = append(found, string(item))
			}
		case string(content) != "null" && string(content) != "{}":
			found = append(found, document)
		}
	}
	return found, nil
}
