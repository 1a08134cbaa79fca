package inject

import (
	"errors"
	"fmt"
	"strings"

	"skr/internal/operator/splice"
)

// recordLimit is the longest value of a tag (Azure Resource Manager, "Tag usage and limitations").
const recordLimit = 256

// document adds the sidecar to the selected objects of a document.
func (o Options) document(text string, is selection, result *Result) (string, error) {
	base, _, err := remove(text, is)
	if err != nil {
		return "", err
	}
	_, targets, records, err := o.overlay(base, is, nil) // finds what there is to add
	if err != nil || len(targets) == 0 {
		return base, err
	}
	d, _, _, err := o.overlay(base, is, records)
	if err != nil {
		return "", err
	}
	out := d.Text()
	if back, _, err := remove(out, is); err != nil || back != base {
		return "", errors.Join(errors.New("what is added could not be removed again, so nothing is written: write the file in the usual form of YAML or JSON"), err)
	}
	if out != text {
		result.Changed += len(targets)
		for _, t := range targets {
			result.Notes = append(result.Notes, o.notes(t)...)
		}
	}
	return out, nil
}

// overlay plans the edits, and returns the record for each target. Records from a first call are written by a second.
func (o Options) overlay(text string, is selection, records []string) (*splice.Document, []target, []string, error) {
	d, targets, err := read(text, is)
	if err != nil {
		return nil, nil, nil, err
	}
	var found []string
	for i, t := range targets {
		record := ""
		if records != nil {
			record = records[i]
		}
		paths, err := o.add(d, t, record)
		if err != nil {
			return nil, nil, nil, err
		}
		found = append(found, recordOf(paths))
		if t.isGroup && len(found[i]) > recordLimit {
			message := fmt.Sprintf("%s: the record of what is added is longer than %d characters, which a tag may have", t.where(), recordLimit)
			return nil, nil, nil, errAt(t.object, message)
		}
	}
	return d, targets, found, nil
}

func (o Options) add(d *splice.Document, t target, record string) ([]string, error) {
	check, overlay := o.checkPod, o.pod
	if t.isGroup {
		check, overlay = o.checkGroup, o.group
	}
	if err := check(t); err != nil {
		return nil, err
	}
	paths, err := d.Add(t.object, overlay(t, record))
	if conflict, ok := errors.AsType[*splice.ConflictError](err); ok {
		return nil, fmt.Errorf("%w, in %s: change it, or leave it out", conflict, t.where())
	}
	return paths, err
}

// read returns the selected objects of a document.
func read(text string, is selection) (*splice.Document, []target, error) {
	d, err := splice.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	all, err := targetsOf(d.Root(), false, is.kinds)
	if err != nil {
		return nil, nil, err
	}
	var targets []target
	for _, t := range all {
		if is.takes(t.String()) {
			targets = append(targets, t)
		}
	}
	return d, targets, nil
}

// remove removes what was added to the selected objects, and counts these objects.
func remove(text string, is selection) (string, int, error) {
	d, targets, err := read(text, is)
	if err != nil {
		return "", 0, err
	}
	removed := 0
	for _, t := range targets {
		record, found := t.record()
		if !found {
			continue
		}
		removed++
		own := "/metadata/annotations/" + strings.ReplaceAll(annotation, "/", "~1")
		if t.isGroup {
			own = "/tags/" + tag
		}
		if err := d.Remove(t.object, append(strings.Fields(record), own)); err != nil {
			return "", 0, fmt.Errorf("%s: %w", t.where(), err)
		}
	}
	if removed == 0 {
		return text, 0, nil
	}
	return d.Text(), removed, nil
}

// recordOf returns the record of paths, without that of the record itself.
func recordOf(paths []string) string {
	var kept []string
	for _, path := range paths {
		if !strings.HasSuffix(path, "/skr~1injected") && path != "/tags/"+tag {
			kept = append(kept, path)
		}
	}
	return strings.Join(kept, " ")
}
