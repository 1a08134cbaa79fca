package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"
)

// define creates the custom resource definitions of testdata/definitions, and waits until the
// API server serves their kinds. Each file names the source of what it contains.
func (s *server) define(ctx context.Context) error {
	files, err := filepath.Glob("testdata/definitions/*.yaml")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%d custom resource definitions: %w", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		found, err := documents(string(text))
		if err != nil {
			return err
		}
		for _, document := range found {
			if err := s.create(ctx, document, "", nil); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if err := s.served(ctx, document); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// served waits until the API server answers for the kinds of a definition.
func (s *server) served(ctx context.Context, document string) error {
	var definition struct {
		Spec struct {
			Group    string
			Names    struct{ Plural string }
			Versions []struct{ Name string }
		}
	}
	if err := yaml.Unmarshal([]byte(document), &definition); err != nil {
		return err
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	spec := definition.Spec
	for {
		status, _, err := s.get(ctx, "/apis/"+spec.Group+"/"+spec.Versions[0].Name+"/"+spec.Names.Plural)
		if err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s.%s is not served: %w", spec.Names.Plural, spec.Group, context.Cause(ctx))
		case <-s.api.ended:
			return fmt.Errorf("kube-apiserver ended: %w", s.api.err)
		case <-again.C:
		}
	}
}
