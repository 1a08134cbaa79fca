package lint

import (
	"fmt"
	"slices"
	"strings"

	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// without finds a branch that leads to a release without a comparison that suits, as deep in
// c as the fault can be placed.
func without(c releasepolicy.Condition, suits func(releasepolicy.Condition) bool) (branch releasepolicy.Condition, open bool) {
	switch c.Kind {
	case releasepolicy.AnyOf:
		return anyWithout(c, suits)
	case releasepolicy.AllOf:
		return allWithout(c, suits)
	}
	return c, !suits(c)
}

// anyWithout is without for a group of any, which needs a suitable comparison in each member.
func anyWithout(c releasepolicy.Condition, suits func(releasepolicy.Condition) bool) (branch releasepolicy.Condition, open bool) {
	for _, member := range c.Conditions {
		inside, open := without(member, suits)
		if open && some(c, suits) {
			return inside, true // another member suits, so this one is at fault
		}
		if open {
			return c, true
		}
	}
	return c, false
}

// allWithout is without for a group of all, which needs a suitable comparison in one member.
func allWithout(c releasepolicy.Condition, suits func(releasepolicy.Condition) bool) (branch releasepolicy.Condition, open bool) {
	branch = c
	for _, member := range c.Conditions {
		inside, open := without(member, suits)
		if !open {
			return c, false
		}
		if member.Kind != releasepolicy.Claim && some(member, suits) {
			branch = inside
		}
	}
	return branch, true
}

// some reports whether a comparison anywhere below c suits.
func some(c releasepolicy.Condition, suits func(releasepolicy.Condition) bool) bool {
	if c.Kind == releasepolicy.Claim {
		return suits(c)
	}
	return slices.ContainsFunc(c.Conditions, func(member releasepolicy.Condition) bool { return some(member, suits) })
}

// asks suits comparisons of a claim with one value.
func asks(claim string) func(releasepolicy.Condition) bool {
	return func(c releasepolicy.Condition) bool { return c.Claim == claim && c.Operator == releasepolicy.Equals }
}

// demands suits comparisons that a boolean claim meets only if it has the value.
func demands(claim, value string) func(releasepolicy.Condition) bool {
	opposite := map[string]string{"true": "false", "false": "true"}[value]
	return func(c releasepolicy.Condition) bool {
		return c.Claim == claim && (c.Operator == releasepolicy.Equals && c.Value.Text == value || c.Operator == releasepolicy.NotEquals && c.Value.Text == opposite)
	}
}

func noHostData(in *inspection) {
	for _, r := range in.roots {
		if !r.all(isContainer) {
			continue
		}
		if branch, open := without(r.Condition, asks(hostData)); open {
			in.report(branch, "the key can be released without a condition on "+hostData+": every container of every tenant may get it",
				`add {"claim":"`+hostData+`","equals":"HEX"}; `+"`skrctl measure` prints HEX")
		}
	}
}

// otherWorkload reports a policy that names HOST_DATA, but none of the workload's.
func otherWorkload(in *inspection) {
	var first *releasepolicy.Condition
	named := false
	in.comparisons(func(_ root, c releasepolicy.Condition) {
		if c.Claim != hostData || c.Operator != releasepolicy.Equals {
			return
		}
		if first == nil {
			first = &c
		}
		named = named || slices.Contains(in.workloads, c.Value.Text)
	})
	if len(in.workloads) > 0 && first != nil && !named {
		in.report(*first, "no condition names the HOST_DATA of the workload: its pods do not get the key",
			"write "+strings.Join(in.workloads, " or ")+", or give the file of the workload that the policy is for")
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

// worthless says why a HOST_DATA does not identify a workload; "" if it may.
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

// zeroHostData does not report virtual machines: their HOST_DATA is always zero.
func zeroHostData(in *inspection) {
	in.hostDataIs(zeroDigest, worthless(zeroDigest), func(r root) bool { return r.all(isContainer) })
}

func (in *inspection) hostDataIs(digest, reason string, concerns func(root) bool) {
	in.comparisons(func(r root, c releasepolicy.Condition) {
		if c.Claim == hostData && c.Operator == releasepolicy.Equals && c.Value.Text == digest && concerns(r) {
			in.report(c, "the HOST_DATA "+reason, "write the HOST_DATA of your workload's own policy; `skrctl measure` prints it")
		}
	})
}

// debugNotExcluded accepts the claim of either technology: no token of the other technology
// meets a branch that has it.
func debugNotExcluded(in *inspection) {
	for _, r := range in.roots {
		if !r.all(isContainer) && !r.all(claims.Platform.IsConfidentialVM) && kindsOf(r.Condition) != ofDirectTDX {
			continue
		}
		excluded := func(c releasepolicy.Condition) bool {
			return demands(r.prefix()+debuggable, "false")(c) || demands(r.prefix()+tdxDebug, "false")(c)
		}
		branch, open := without(r.Condition, excluded)
		if !open {
			continue
		}
		claims := []string{equalsText(r.prefix()+debuggable, "false")}
		switch kinds := kindsOf(branch) & kindsOf(r.Condition); {
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
		if !r.all(isContainer) && !r.all(claims.Platform.IsConfidentialVM) {
			continue
		}
		known, _ := claims.Lookup(claim)
		in.require(r, asks(claim), "a guest whose measurement Microsoft did not endorse gets the key, and its host chose its HOST_DATA",
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
		bounded := func(c releasepolicy.Condition) bool {
			return c.Claim == endorsedSVN && (c.Operator == releasepolicy.Greater || c.Operator == releasepolicy.GreaterOrEquals || c.Operator == releasepolicy.Equals)
		}
		if r.all(isContainer) {
			in.require(r, bounded, "utility VMs of any age get the key, even with known faults",
				`{"claim":"`+endorsedSVN+`","greaterOrEquals":N}`)
		}
	}
}

// require reports the branch of r that lacks a comparison that suits.
func (in *inspection) require(r root, suits func(releasepolicy.Condition) bool, message, condition string) {
	if branch, open := without(r.Condition, suits); open {
		in.report(branch, message, "add "+condition)
	}
}

func equalsText(claim, value string) string {
	return fmt.Sprintf(`{"claim":"%s","equals":"%s"}`, claim, value)
}
