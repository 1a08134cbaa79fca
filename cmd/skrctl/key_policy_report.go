package main

import (
	"fmt"
	"io"

	"skr/internal/operator/provision"
	"skr/internal/operator/rollout"
	"skr/releasepolicy"
)

// changeReport is what is printed about the change of a key's policy.
type changeReport struct {
	Kid          string                 `json:"kid"`
	Equal        bool                   `json:"equal"`
	Changes      []releasepolicy.Change `json:"changes"`
	Losses       []releasepolicy.Loss   `json:"losses"`
	Written      bool                   `json:"written"`
	PolicySHA256 string                 `json:"policy_sha256,omitempty"`
	Request      *provision.Preview     `json:"request,omitempty"`
}

func newChangeReport(p rollout.Proposal) changeReport {
	r := changeReport{Kid: p.Key.ID.String(), Equal: p.IsEmpty(), Changes: p.Changes, Losses: p.Losses, PolicySHA256: describeKey(p.Key).PolicySHA256}
	if r.Changes == nil {
		r.Changes = []releasepolicy.Change{}
	}
	if r.Losses == nil {
		r.Losses = []releasepolicy.Loss{}
	}
	return r
}

// print prints the difference in meaning, as skrctl policy diff does, and which pods lose the key.
// With output json, it prints nothing yet.
func (r *changeReport) print(output string, out io.Writer) error {
	if output == "json" || r.Equal {
		return nil
	}
	if _, err := fmt.Fprintf(out, "%s\n", r.Kid); err != nil {
		return err
	}
	if err := printChanges(r.Changes, output, out); err != nil {
		return err
	}
	for _, loss := range r.Losses {
		if _, err := fmt.Fprintf(out, "these lose the key: %s\n", loss); err != nil {
			return err
		}
	}
	return nil
}
