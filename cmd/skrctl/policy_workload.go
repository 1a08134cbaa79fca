package main

import (
	"fmt"
	"slices"
	"strings"

	"skr/internal/cli"
	"skr/internal/operator/execpolicy"
	"skr/internal/operator/measure"
	"skr/releasepolicy"
)

// explainedWorkload says what may run with an execution policy, and so with the key if the
// release policy names its HOST_DATA.
type explainedWorkload struct {
	Source     string               `json:"source"`
	HostData   string               `json:"hostdata"`
	Named      bool                 `json:"named"` // by the release policy
	Everything bool                 `json:"everything,omitempty"`
	Unread     string               `json:"unread,omitempty"` // why Containers and Imports may lack some
	Containers []containerView      `json:"containers"`
	Imports    []importedRule       `json:"imports"`
	Findings   []execpolicy.Finding `json:"findings,omitempty"`
}

func (o explainOptions) explainWorkloads(policy *releasepolicy.Policy, streams cli.Streams) (all []explainedWorkload, err error) {
	if o.workload == "" {
		return nil, nil
	}
	policies, err := readPolicies(o.workload, streams)
	if err != nil {
		return nil, cli.BadUsage(err)
	}
	for _, p := range policies {
		all = append(all, explainWorkload(p, policy))
	}
	return all, nil
}

func explainWorkload(p measure.Policy, policy *releasepolicy.Policy) explainedWorkload {
	w := explainedWorkload{
		Source: p.Source(), HostData: p.Digest(), Everything: p.AllowsEverything(),
		Named:      slices.ContainsFunc(policy.Tree(), func(root releasepolicy.Condition) bool { return requiresHostData(root, p.Digest()) }),
		Containers: []containerView{}, Imports: []importedRule{},
	}
	rego := p.Rego()
	if rego == nil {
		w.Unread = "it is not Rego"
		return w
	}
	view := viewOfRego(rego)
	w.Unread, w.Containers, w.Imports, w.Findings = view.Unread, view.Containers, view.Imports, rego.Findings()
	if w.Unread == "" && rego.Custom() {
		w.Unread = "it decides about containers with rules of its own"
	}
	return w
}

// requiresHostData reports whether a condition of the tree requires this HOST_DATA.
func requiresHostData(c releasepolicy.Condition, digest string) bool {
	if c.Kind == releasepolicy.Claim {
		return c.Claim == "x-ms-sevsnpvm-hostdata" && c.Operator == releasepolicy.Equals && c.Value.Text == digest
	}
	return slices.ContainsFunc(c.Conditions, func(inner releasepolicy.Condition) bool { return requiresHostData(inner, digest) })
}

func (w explainedWorkload) text() string {
	var b strings.Builder
	named := "which the release policy names"
	if !w.Named {
		named = "which the release policy does NOT name"
	}
	fmt.Fprintf(&b, "\n%s has HOST_DATA %s, %s. Its execution policy\n", oneLine(w.Source), w.HostData, named)
	for _, line := range w.admits() {
		fmt.Fprintf(&b, "  %s\n", oneLine(line))
	}
	return b.String()
}

func (w explainedWorkload) admits() (lines []string) {
	if w.Everything {
		return []string{"admits every container"}
	}
	for _, c := range w.Containers {
		lines = append(lines, fmt.Sprintf("admits the container %q of %s, command %q", c.Name, c.Image, c.Command))
	}
	for _, i := range w.Imports {
		lines = append(lines, i.Meaning)
	}
	if w.Unread != "" {
		lines = append(lines, "was not read as a whole, and may admit more: "+w.Unread)
	}
	if len(lines) == 0 {
		lines = []string{"admits no container"}
	}
	for _, f := range w.Findings {
		lines = append(lines, "warning: "+f.Rule+": "+f.Text)
	}
	return lines
}
