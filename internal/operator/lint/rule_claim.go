package lint

import (
	"fmt"
	"slices"
	"strings"

	"skr/internal/excerpt"
	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

func unknownClaim(in *inspection) {
	near := make(map[string]string)
	in.comparisons(func(r root, c releasepolicy.Condition) {
		if _, known := claims.Lookup(c.Claim); known {
			return
		}
		if _, asked := near[c.Claim]; !asked {
			near[c.Claim], _ = claims.Nearest(c.Claim, r.platforms...)
		}
		fix := "check the spelling against a token: `skrctl policy explain` shows what it has"
		if name := near[c.Claim]; name != "" {
			fix = "write " + name
		}
		in.report(c, fmt.Sprintf("no token is known to have the claim %s", excerpt.Quote(c.Claim)), fix)
	})
}

// elsewhere returns the claim's name with the prefix that it lacks, or without the one it has.
// found is false if the platforms' tokens have the claim as it is, or do not have it at all.
func elsewhere(r root, claim string) (name string, found bool) {
	if present(r, claim) {
		return "", false
	}
	name = claims.Elsewhere(claim)
	return name, present(r, name)
}

// present reports whether tokens of one of the platforms are known to have the claim.
func present(r root, claim string) bool {
	known, found := claims.Lookup(claim)
	return found && slices.ContainsFunc(r.platforms, known.On)
}

func claimPrefix(in *inspection) {
	in.comparisons(func(r root, c releasepolicy.Condition) {
		if name, found := elsewhere(r, c.Claim); found {
			in.report(c, fmt.Sprintf("tokens of %s have the claim %s elsewhere", list(r.platforms), c.Claim), "write "+name)
		}
	})
}

func claimNotOnPlatform(in *inspection) {
	in.comparisons(func(r root, c releasepolicy.Condition) {
		_, known := claims.Lookup(c.Claim)
		_, moved := elsewhere(r, c.Claim)
		if !known || moved || len(r.platforms) == 0 || present(r, c.Claim) {
			return
		}
		fix := "remove the condition"
		if name, found := claims.Nearest(c.Claim, r.platforms...); found {
			fix += ", or write " + name + " if that was meant"
		}
		in.report(c, fmt.Sprintf("tokens of %s never have the claim %s", list(r.platforms), c.Claim), fix)
	})
}

func list(platforms []claims.Platform) string {
	names := make([]string, len(platforms))
	for i, p := range platforms {
		names[i] = p.String()
	}
	return strings.Join(names, " or ")
}

// volatile has claims, without x-ms-isolation-tee, and what their values change with.
var volatile = map[string]string{
	"nbf": "with each token", "exp": "with each token", "iat": "with each token", "jti": "with each token",
	"nonce":                    "with each request",
	"x-ms-sevsnpvm-reportdata": "with each key that the guest makes",
	"tdx_report_data":          "with each key that the guest makes",
	"x-ms-sevsnpvm-reportid":   "with each launch of the guest",
	"x-ms-sevsnpvm-chipid":     "with each processor",
}

func volatileClaim(in *inspection) {
	in.comparisons(func(_ root, c releasepolicy.Condition) {
		if when, is := volatile[strings.TrimPrefix(c.Claim, isolation)]; is {
			in.report(c, fmt.Sprintf("the claim %s differs %s: the key would be released at most once, or only on one machine", c.Claim, when),
				"remove the condition; the vault checks the token's times itself")
		}
	})
}

// guestChosenClaim does not report the vTPM's runtime data, which Azure's firmware writes, and
// x-ms-policy, which the authority's policy fills.
func guestChosenClaim(in *inspection) {
	in.comparisons(func(_ root, c releasepolicy.Condition) {
		if strings.HasPrefix(c.Claim, "x-ms-runtime.") || c.Claim == "x-ms-runtime" {
			in.report(c, fmt.Sprintf("the guest chooses the value of %s: any guest can choose the same", excerpt.Quote(c.Claim)),
				"compare a claim that the platform measures, such as "+hostData)
		}
	})
}
