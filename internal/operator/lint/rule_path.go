package lint

import (
	"fmt"
	"slices"
	"strings"

	"skr/hsm"
	"skr/internal/claims"
)

// without finds a branch that leads to a release without meeting any comparison
// that suits. A group of all needs one member that suits, a group of any needs it in
// each; the branch is as deep as the fault can be placed.
func without(n hsm.Node, suits func(hsm.Node) bool) (branch hsm.Node, open bool) {
	if n.Kind == hsm.Claim {
		return n, !suits(n)
	}
	var nearest *hsm.Node
	for _, member := range n.Conditions {
		inside, open := without(member, suits)
		switch {
		case open && n.Kind == hsm.AnyOf && some(n, suits):
			return inside, true // the other members show what was meant
		case open && n.Kind == hsm.AnyOf:
			return n, true
		case !open && n.Kind == hsm.AllOf:
			return n, false
		case open && member.Kind != hsm.Claim && some(member, suits):
			nearest = &inside
		}
	}
	if nearest != nil {
		return *nearest, true
	}
	return n, n.Kind == hsm.AllOf
}

// some says whether a comparison anywhere below n suits.
func some(n hsm.Node, suits func(hsm.Node) bool) bool {
	if n.Kind == hsm.Claim {
		return suits(n)
	}
	return slices.ContainsFunc(n.Conditions, func(member hsm.Node) bool { return some(member, suits) })
}

// asks suits comparisons of a claim with one value.
func asks(claim string) func(hsm.Node) bool {
	return func(n hsm.Node) bool { return n.Claim == claim && n.Operator == hsm.Equals }
}

// demands suits comparisons that a boolean claim meets only with the value.
func demands(claim, value string) func(hsm.Node) bool {
	opposite := map[string]string{"true": "false", "false": "true"}[value]
	return func(n hsm.Node) bool {
		return n.Claim == claim && (n.Operator == hsm.Equals && n.Value.Text == value || n.Operator == hsm.NotEquals && n.Value.Text == opposite)
	}
}

func noHostData(in *inspection) {
	for _, r := range in.roots {
		if !r.all(isContainer) {
			continue
		}
		if branch, open := without(r.Node, asks(hostData)); open {
			in.report(branch, "there is a way to the key without a condition on "+hostData+": every container of every tenant may take it",
				`add {"claim":"`+hostData+`","equals":"HEX"}; `+"`skrctl policy measure` prints HEX")
		}
	}
}

// allowAll are the HOST_DATA of published policies that allow every container: the one that
// the confcom tool writes for debugging, that of Microsoft's confidential container samples,
// and those of two public container groups.
var allowAll = []string{
	"73973b78d70cc68353426de188db5dfc57e5b766e399935fb73a61127ea26d20",
	"b3452a0ed30f1010bd32740dd1610bc63296ceb0f882f2cac3a3152d651fe7e4",
	"4f4448c67f3c8dfc8de8a5e37125d807dadcc41f06cf23f615dbd52eec777d10",
	"cadd74f71ebb8fbf9782baab649612520f3c416bc5ce9ac768808ddc8d9b031c",
}

// worthless says why a HOST_DATA identifies no workload, "" if it may.
func worthless(digest string) string {
	switch {
	case slices.Contains(allowAll, digest):
		return "is that of a policy that allows every container"
	case digest == zeroDigest:
		return "is zero: a guest without a policy has it"
	}
	return ""
}

const zeroDigest = "0000000000000000000000000000000000000000000000000000000000000000"

func allowAllHostData(in *inspection) {
	for _, digest := range in.allowAll {
		in.hostDataIs(digest, worthless(allowAll[0]), func(root) bool { return true })
	}
}

// zeroHostData leaves virtual machines out: theirs is always zero.
func zeroHostData(in *inspection) {
	in.hostDataIs(zeroDigest, worthless(zeroDigest), func(r root) bool { return r.all(isContainer) })
}

func (in *inspection) hostDataIs(digest, reason string, concerns func(root) bool) {
	in.comparisons(func(r root, n hsm.Node) {
		if n.Claim == hostData && n.Operator == hsm.Equals && n.Value.Text == digest && concerns(r) {
			in.report(n, "the HOST_DATA "+reason, "write the HOST_DATA of your workload's own policy; `skrctl policy measure` prints it")
		}
	})
}

// debugNotExcluded takes the claim of either technology: where one is asked for, no token
// of the other meets the branch.
func debugNotExcluded(in *inspection) {
	for _, r := range in.roots {
		if !r.all(isContainer) && !r.is(claims.CVM) && kindsOf(r.Node) != ofDirectTDX {
			continue
		}
		excludes := func(n hsm.Node) bool {
			return demands(r.prefix()+debuggable, "false")(n) || demands(r.prefix()+tdxDebug, "false")(n)
		}
		branch, open := without(r.Node, excludes)
		if !open {
			continue
		}
		claims := []string{equalsText(r.prefix()+debuggable, "false")}
		switch kinds := kindsOf(branch) & kindsOf(r.Node); {
		case kinds&(ofGuestSNP|ofDirect) == 0:
			claims = []string{equalsText(r.prefix()+tdxDebug, "false")}
		case kinds&ofIsolated == ofIsolated && kinds != ofAny:
			claims = append(claims, equalsText(r.prefix()+tdxDebug, "false")+" where the machine is isolated by TDX")
		}
		in.report(branch, "a guest that the host may debug gets the key: its memory can be read", "add "+strings.Join(claims, ", and "))
	}
}

func debuggersNotExcluded(in *inspection) {
	for _, r := range in.roots {
		if !slices.Contains(r.platforms, claims.TrustedLaunch) {
			continue
		}
		for _, claim := range debuggers {
			known, _ := claims.Lookup(claim)
			in.require(r, demands(claim, "false"), "a machine gets the key although "+known.Meaning, equalsText(claim, "false"))
		}
	}
}

func complianceNotRequired(in *inspection) {
	for _, r := range in.roots {
		claim := r.prefix() + compliance
		if !r.all(isContainer) && !r.is(claims.CVM) {
			continue
		}
		known, _ := claims.Lookup(claim)
		in.require(r, asks(claim), "a guest that somebody else measured gets the key, and its host chose its HOST_DATA",
			equalsText(claim, known.Values[r.platforms[0]][0]))
	}
}

func secureBootNotRequired(in *inspection) {
	for _, r := range in.roots {
		if r.all(func(p claims.Platform) bool { return !isContainer(p) }) {
			in.require(r, demands(secureBoot, "true"), "a machine that booted without Secure Boot gets the key", equalsText(secureBoot, "true"))
		}
	}
}

func noMinimumSVN(in *inspection) {
	for _, r := range in.roots {
		bounded := func(n hsm.Node) bool {
			return n.Claim == endorsedSVN && (n.Operator == hsm.Greater || n.Operator == hsm.GreaterOrEquals || n.Operator == hsm.Equals)
		}
		if r.all(isContainer) {
			in.require(r, bounded, "utility VMs of any age get the key, also those whose faults are known",
				`{"claim":"`+endorsedSVN+`","greaterOrEquals":N}`)
		}
	}
}

// require reports the branch of r that lacks a condition.
func (in *inspection) require(r root, suits func(hsm.Node) bool, message, condition string) {
	if branch, open := without(r.Node, suits); open {
		in.report(branch, message, "add "+condition)
	}
}

func equalsText(claim, value string) string {
	return fmt.Sprintf(`{"claim":"%s","equals":"%s"}`, claim, value)
}
