package rollout

import (
	"fmt"
	"slices"
	"strings"

	"skr/internal/operator/measure"
)

// Files are two deployment files, with the policies in them.
type Files struct {
	Old, New []measure.Policy
	NewPath  string
	Vault    string   // as --vault takes it; "" if it is not known
	Keys     []string // none if they are not known
}

// Plan is how to get from one deployment file to another without an outage.
type Plan struct {
	Pods []PodChange `json:"pods"`
	// Allow and Retire are measurements. If both are empty, nothing has to be done.
	Allow  []string `json:"allow"`
	Retire []string `json:"retire"`
	Steps  []Step   `json:"steps"`
}

// PodChange is an object in one file or in both.
type PodChange struct {
	// Source is the kind and name, such as `Deployment "orders"`.
	Source string `json:"source"`
	// Before and After are the measurements; one is empty if only one file has the object.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Step is a step of a Plan.
type Step struct {
	Title    string   `json:"title"`
	Commands []string `json:"commands"`
}

// NewPlan returns the plan. A measurement that the new file has too is never retired.
func NewPlan(f Files) Plan {
	p := Plan{Pods: pair(f.Old, f.New), Allow: []string{}, Retire: []string{}, Steps: []Step{}}
	old, now := digests(f.Old), digests(f.New)
	for _, digest := range now {
		if !slices.Contains(old, digest) {
			p.Allow = append(p.Allow, digest)
		}
	}
	for _, digest := range old {
		if !slices.Contains(now, digest) {
			p.Retire = append(p.Retire, digest)
		}
	}
	if len(p.Allow) > 0 {
		p.Steps = append(p.Steps, Step{"Allow the new measurements. Pods of both versions can get the key now.", f.change("allow", p.Allow)})
	}
	if len(p.Allow)+len(p.Retire) > 0 {
		p.Steps = append(p.Steps, Step{"Deploy, and wait until the new pods run.", f.deploy(p.Pods)})
	}
	if commands := f.ended(p.Retire); len(commands) > 0 {
		p.Steps = append(p.Steps, Step{"End what the new file does not have: kubectl apply leaves it running.", commands})
	}
	if len(p.Retire) > 0 {
		p.Steps = append(p.Steps, Step{"Retire the old measurements, when no old pod runs any more. To go back after this step, allow them again first.",
			f.change("retire", p.Retire)})
	}
	return p
}

// IsEmpty reports whether both files have the same measurements.
func (p Plan) IsEmpty() bool { return len(p.Allow)+len(p.Retire) == 0 }

func digests(policies []measure.Policy) (all []string) {
	for _, p := range policies {
		if !slices.Contains(all, p.Digest()) {
			all = append(all, p.Digest())
		}
	}
	return all
}

// pair returns the objects of both files. Objects with the same source are paired in their order.
func pair(old, now []measure.Policy) []PodChange {
	rest := slices.Clone(old)
	pods := make([]PodChange, 0, len(now))
	for _, p := range now {
		pod := PodChange{Source: p.Source(), After: p.Digest()}
		if at := slices.IndexFunc(rest, func(o measure.Policy) bool { return o.Source() == p.Source() }); at >= 0 {
			pod.Before, rest = rest[at].Digest(), slices.Delete(rest, at, at+1)
		}
		pods = append(pods, pod)
	}
	for _, p := range rest {
		pods = append(pods, PodChange{Source: p.Source(), Before: p.Digest()})
	}
	return pods
}

// change returns a command for each key. KEY and VAULT stand for what is not known.
func (f Files) change(verb string, measurements []string) (commands []string) {
	keys, vault := f.Keys, f.Vault
	if len(keys) == 0 {
		keys = []string{"KEY"}
	}
	if vault == "" {
		vault = "VAULT"
	}
	for _, key := range keys {
		commands = append(commands, fmt.Sprintf("skrctl key policy %s %s --vault %s --measurement %s",
			verb, quote(key), quote(vault), strings.Join(measurements, ",")))
	}
	return commands
}

// quote returns a word of the POSIX shell (POSIX.1-2024, Shell Command Language, section 2.2.2).
func quote(word string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !safe(r) }) && word[0] != '-' {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
