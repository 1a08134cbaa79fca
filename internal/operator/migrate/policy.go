package migrate

import (
	"errors"
	"fmt"
	"slices"

	"skr/internal/excerpt"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// PolicyOptions say what to make of a release policy.
type PolicyOptions struct {
	// To is the platform to migrate to. Required.
	To Target
	// HostData are the HOST_DATA of the migrated workloads. If it is empty, the policy keeps the old
	// ones, and releases the key to none of the new pods. Only for VirtualNodes.
	HostData []string
	// File is the name of the policy in the commands of notes.
	File string
}

// Policy translates a release policy for kata-cc. Conditions that need a new measurement keep their old
// value, which no pod of the new platform has, and notes name them. Conditions on claims that tokens of
// the platform do not have are left out, and notes name these too.
func Policy(text []byte, o PolicyOptions) (*releasepolicy.Policy, []Note, error) {
	old, err := releasepolicy.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	t := translation{PolicyOptions: o, named: make(map[string]bool)}
	var roots []releasepolicy.Condition
	for _, root := range old.Tree() {
		translated, err := t.root(root)
		if err != nil {
			return nil, nil, fmt.Errorf("translating the policy: authority %s: %w", excerpt.Of(root.Authority), err)
		}
		roots = append(roots, translated)
	}
	t.measure()
	policy, err := releasepolicy.New(roots...)
	return policy, t.notes, err
}

// translation is the work on one policy.
type translation struct {
	PolicyOptions
	notes []Note
	named map[string]bool // claims that a note names
	stale []string        // claims that keep an old measurement
}

const noConditions = "no condition can be translated; write a policy with skrctl policy new"

func (t *translation) root(root releasepolicy.Condition) (releasepolicy.Condition, error) {
	conditions := t.all(root.Kind, root.Conditions)
	if len(conditions) == 0 {
		return root, errors.New(noConditions)
	}
	translated := releasepolicy.Condition{Kind: root.Kind, Authority: root.Authority, Conditions: conditions}
	if t.To == VirtualNodes || requires(root.Kind, conditions, secureBoot) {
		return translated, nil
	}
	if root.Kind == releasepolicy.AnyOf {
		translated = releasepolicy.Condition{Kind: releasepolicy.AllOf, Authority: root.Authority,
			Conditions: []releasepolicy.Condition{{Kind: releasepolicy.AnyOf, Conditions: conditions}}}
	}
	translated.Conditions = append(translated.Conditions, equals(secureBoot, "true"))
	t.note(Changed, secureBoot, "added: a virtual machine must have booted with Secure Boot")
	return translated, nil
}

// requires reports whether each token must have the claim.
func requires(kind releasepolicy.Kind, conditions []releasepolicy.Condition, claim string) bool {
	return kind == releasepolicy.AllOf && slices.ContainsFunc(conditions, func(c releasepolicy.Condition) bool {
		return c.Claim == claim || requires(c.Kind, c.Conditions, claim)
	})
}

// all translates the members of a group.
func (t *translation) all(kind releasepolicy.Kind, members []releasepolicy.Condition) (all []releasepolicy.Condition) {
	for _, c := range members {
		var translated []releasepolicy.Condition
		if c.Kind == releasepolicy.Claim {
			translated = t.comparison(c)
		} else if c.Conditions = t.all(c.Kind, c.Conditions); len(c.Conditions) > 0 {
			translated = []releasepolicy.Condition{c}
		}
		if kind == releasepolicy.AnyOf && len(translated) > 1 {
			translated = []releasepolicy.Condition{{Kind: releasepolicy.AllOf, Conditions: translated}}
		}
		for _, c := range translated {
			if !slices.ContainsFunc(all, func(other releasepolicy.Condition) bool { return other.String() == c.String() }) {
				all = append(all, c)
			}
		}
	}
	return all
}

func (t *translation) comparison(c releasepolicy.Condition) []releasepolicy.Condition {
	if _, known := claims.Lookup(c.Claim); !known {
		t.note(Next, c.Claim, "is kept, but unknown here; check that tokens of the new platform have it")
		return []releasepolicy.Condition{c}
	}
	if t.To == VirtualNodes {
		return t.forGroup(c)
	}
	return t.forMachine(c)
}

// note adds one note for each claim.
func (t *translation) note(kind Kind, claim, text string) {
	if key := string(kind) + claim; !t.named[key] {
		t.named[key] = true
		t.notes = append(t.notes, Note{Kind: kind, Where: "release policy", Text: excerpt.Of(claim) + " " + text})
	}
}

// old keeps a condition whose value must be measured again.
func (t *translation) old(c releasepolicy.Condition) []releasepolicy.Condition {
	if !slices.Contains(t.stale, c.Claim) {
		t.stale = append(t.stale, c.Claim)
	}
	t.note(Lost, c.Claim, "keeps the value of kata-cc, which must be measured again")
	return []releasepolicy.Condition{c}
}

func equals(claim, value string) releasepolicy.Condition {
	return releasepolicy.Condition{Kind: releasepolicy.Claim, Claim: claim, Operator: releasepolicy.Equals, Value: releasepolicy.Text(value)}
}
