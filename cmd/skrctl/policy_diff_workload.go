package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"skr/internal/cli"
	"skr/internal/operator/execpolicy"
	"skr/internal/operator/measure"
)

// workloadDiff is what skrctl policy diff --workload prints.
type workloadDiff struct {
	Equal    bool                 `json:"equal"` // the hashes
	Before   string               `json:"before"`
	After    string               `json:"after"`
	Changes  []execpolicy.Change  `json:"changes"`
	Findings []execpolicy.Finding `json:"findings,omitempty"`
}

func diffWorkloads(before, after, output string, streams cli.Streams) error {
	if err := cli.OneStandardInput(before, after); err != nil {
		return err
	}
	a, err := onePolicy(before, streams)
	if err != nil {
		return cli.BadUsage(err)
	}
	b, err := onePolicy(after, streams)
	if err != nil {
		return cli.BadUsage(err)
	}
	d := workloadDiff{
		a.Digest() == b.Digest(), a.Digest(), b.Digest(), execpolicy.Diff(a.Rego(), b.Rego()), execpolicy.Avoidable(a.Rego(), b.Rego()),
	}
	if err := d.print(output, streams.Out); err != nil {
		return err
	}
	if !d.Equal {
		return &verdictError{"the execution policies differ, and so do their HOST_DATA"}
	}
	return nil
}

// onePolicy reads a file with one execution policy that can be compared.
func onePolicy(path string, streams cli.Streams) (p measure.Policy, err error) {
	all, err := readPolicies(path, streams)
	if err != nil {
		return p, err
	}
	switch p = all[0]; {
	case len(all) > 1:
		err = errors.New("it has several execution policies; compare one at a time")
	case p.Rego() == nil:
		err = errors.New("its execution policy is not Rego")
	case p.Rego().Unread != nil:
		err = fmt.Errorf("its execution policy cannot be read as a whole: %w", p.Rego().Unread)
	}
	if err != nil {
		return p, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func (d workloadDiff) print(output string, out io.Writer) error {
	if output == "json" {
		if d.Changes == nil {
			d.Changes = []execpolicy.Change{}
		}
		return json.NewEncoder(out).Encode(d)
	}
	lines := []string{}
	for _, c := range d.Changes {
		if c.Before != "" {
			lines = append(lines, "- "+c.Before)
		} else {
			lines = append(lines, "+ "+c.After)
		}
	}
	if !d.Equal && len(d.Changes) == 0 {
		lines = append(lines, "the same containers and imports, and another text: the hash changes")
	}
	for _, f := range d.Findings {
		lines = append(lines, "warning: "+f.Rule+": "+f.Text)
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(out, oneLine(line)); err != nil {
			return err
		}
	}
	return nil
}
