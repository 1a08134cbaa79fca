// Package inject adds the sidecar to manifests of Kubernetes and to container groups of Azure Container Instances.
//
//	result, err := inject.Add(text, inject.Options{Platform: inject.Kata, Image: "registry.example/skr@sha256:…"})
//	…
//	before, err := inject.Remove(result.Text, nil)
//
// It edits the text in place (package splice), before the execution policy is made, so that the policy covers the
// sidecar. The annotation skr/injected of a pod, or the tag skr-injected of a container group, records what it added.
// With the record, Add replaces what it added before, and Remove restores the text, byte for byte. Nothing that
// Add did not write is changed: where a value is in the way, it returns an error.
package inject

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"skr/internal/operator/splice"
)

// Options say what to add.
type Options struct {
	// Platform is where the pods run. Required for pods; container groups are always Group.
	Platform Platform
	// Image of the sidecar. Required.
	Image string
	// Classic makes the sidecar an ordinary container. It always is one on Group and VirtualNodesClassic.
	Classic bool
	// Direct gives a privileged sidecar the node's vTPM, in place of the agent's sockets.
	Direct bool
	// Identity is the client id of workload identity, or the resource id of the identity of a container group. Empty
	// adds no identity.
	Identity string
	// User is the user id of the sidecar. Negative means 0 in container groups and 65532 in pods.
	User int
	// Settings are the variables of the sidecar.
	Settings []Variable
	// Mounts are volumes of the pod that the sidecar sees, as name and path.
	Mounts []Mount
	// Ports are those that the sidecar listens on.
	Ports []int
	// Only names the objects to change, as KIND/NAME. Empty changes all.
	Only []string
	// File is the name of the result in the commands of notes.
	File string
}

// Variable is an environment variable.
type Variable struct{ Name, Value string }

// Mount is a volume that the pod has, and where the sidecar sees it.
type Mount struct{ Volume, Path string }

// Result is what Add returns.
type Result struct {
	Text string
	// Notes are lines for the operator.
	Notes []string
	// Changed counts objects that are not as before.
	Changed int
}

const mark = "\ufeff" // byte order mark

// Add adds the sidecar, or replaces the one that Add added before. It returns an error if nothing in the file can
// have one.
func Add(text string, o Options) (*Result, error) {
	result := &Result{}
	out, err := eachDocument(text, o.Only, true, func(document string, is selection) (string, error) {
		return o.document(document, is, result)
	})
	if err != nil {
		return nil, err
	}
	result.Text = out
	return result, nil
}

// Remove removes what Add added.
func Remove(text string, only []string) (string, error) {
	removed := 0
	out, err := eachDocument(text, only, false, func(document string, is selection) (string, error) {
		without, n, err := remove(document, is)
		removed += n
		return without, err
	})
	if err == nil && removed == 0 {
		err = fmt.Errorf("nothing can be removed: no object has the annotation %s or the tag %s", annotation, tag)
	}
	return out, err
}

// eachDocument edits each document of a file. Documents that the edit returns unchanged keep their bytes.
func eachDocument(text string, only []string, whole bool, edit func(document string, is selection) (string, error)) (string, error) {
	bare, marked := strings.CutPrefix(text, mark)
	documents, err := splice.Split(bare)
	if err != nil {
		return "", err
	}
	is := selection{only: only, found: map[string]bool{}, kinds: map[string]bool{}}
	before := 0
	for i, document := range documents {
		edited, err := edit(document, is)
		if err != nil {
			return "", placed(err, len(documents), i+1, before)
		}
		before += strings.Count(document, "\n")
		documents[i] = edited
	}
	if whole {
		if err := is.missing(); err != nil {
			return "", err
		}
	}
	if marked {
		return mark + strings.Join(documents, ""), nil
	}
	return strings.Join(documents, ""), nil
}

var lineNumber = regexp.MustCompile(`\bline (\d+)\b`)

// placed adds which document an error is about, and counts its line from the beginning of the file.
func placed(err error, documents, number, before int) error {
	if documents == 1 {
		return err
	}
	first := true
	message := lineNumber.ReplaceAllStringFunc(err.Error(), func(found string) string {
		line, parseErr := strconv.Atoi(strings.TrimPrefix(found, "line "))
		if !first || parseErr != nil {
			return found
		}
		first = false
		return fmt.Sprintf("line %d", line+before)
	})
	return fmt.Errorf("document %d: %s", number, message)
}

// selection is what Options.Only selects.
type selection struct {
	only         []string
	found, kinds map[string]bool
}

// takes reports whether an object is selected.
func (s selection) takes(name string) bool {
	s.found[name] = true
	return len(s.only) == 0 || slices.Contains(s.only, name)
}

func (s selection) missing() error {
	for _, name := range s.only {
		if !s.found[name] {
			return fmt.Errorf("no object is %s", name)
		}
	}
	if len(s.found) > 0 {
		return nil
	}
	if len(s.kinds) == 0 {
		return errors.New("the file has no objects")
	}
	kinds := make([]string, 0, len(s.kinds))
	for kind := range s.kinds {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return fmt.Errorf("nothing in it can have a sidecar: it has %s; use a Pod, Deployment, StatefulSet, DaemonSet, Job, CronJob "+
		"or container group", strings.Join(kinds, ", "))
}
