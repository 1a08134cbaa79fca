package lint

import (
	"fmt"
	"slices"
	"strings"

	"skr/hsm"
	"skr/internal/claims"
)

func unknownClaim(in *inspection) {
	near := make(map[string]string)
	in.comparisons(func(r root, n hsm.Node) {
		if _, known := claims.Lookup(n.Claim); known {
			return
		}
		if _, asked := near[n.Claim]; !asked {
			near[n.Claim], _ = claims.Nearest(n.Claim, r.platforms...)
		}
		fix := "check the spelling against a token: `skrctl policy explain` shows what it has"
		if name := near[n.Claim]; name != "" {
			fix = "write " + name
		}
		in.report(n, fmt.Sprintf("no token is known to have the claim %s", quote(n.Claim)), fix)
	})
}

// elsewhere is the claim's name with the prefix that it lacks, or without the one
// it has, if the platforms' tokens have that; found is false if they have neither
// or the claim as it is.
func elsewhere(r root, claim string) (name string, found bool) {
	if present(r, claim) {
		return "", false
	}
	name, cut := strings.CutPrefix(claim, isolation)
	if !cut {
		name = isolation + claim
	}
	return name, present(r, name)
}

// present says whether tokens of one of the platforms may have the claim, as far
// as it is known.
func present(r root, claim string) bool {
	known, found := claims.Lookup(claim)
	return found && slices.ContainsFunc(r.platforms, known.On)
}

func claimPrefix(in *inspection) {
	in.comparisons(func(r root, n hsm.Node) {
		if name, found := elsewhere(r, n.Claim); found {
			in.report(n, fmt.Sprintf("tokens of %s have no claim %s, but one elsewhere", list(r.platforms), n.Claim), "write "+name)
		}
	})
}

func claimNotOnPlatform(in *inspection) {
	in.comparisons(func(r root, n hsm.Node) {
		_, known := claims.Lookup(n.Claim)
		_, moved := elsewhere(r, n.Claim)
		if !known || moved || len(r.platforms) == 0 || present(r, n.Claim) {
			return
		}
		fix := "remove the condition"
		if name, found := claims.Nearest(n.Claim, r.platforms...); found {
			fix += ", or write " + name + " if that was meant"
		}
		in.report(n, fmt.Sprintf("tokens of %s never have the claim %s", list(r.platforms), n.Claim), fix)
	})
}

func list(platforms []claims.Platform) string {
	names := make([]string, len(platforms))
	for i, p := range platforms {
		names[i] = p.String()
	}
	return strings.Join(names, " or ")
}

// volatile are claims by their last part, with what they change with.
var volatile = map[string]string{
	"nbf": "with each token", "exp": "with each token", "iat": "with each token", "jti": "with each token",
	"nonce":                    "with each request",
	"x-ms-sevsnpvm-reportdata": "with each key that the guest makes",
	"x-ms-sevsnpvm-reportid":   "with each launch of the guest",
	"x-ms-sevsnpvm-chipid":     "with each processor",
}

func volatileClaim(in *inspection) {
	in.comparisons(func(_ root, n hsm.Node) {
		if when, is := volatile[strings.TrimPrefix(n.Claim, isolation)]; is {
			in.report(n, fmt.Sprintf("the claim %s differs %s: the key would be released once at most, or only on one machine", n.Claim, when),
				"remove the condition; the vault checks the token's times itself")
		}
	})
}

// guestChosenClaim leaves the vTPM's own runtime data out, which Azure's firmware
// writes, and x-ms-policy, which the authority's policy fills.
func guestChosenClaim(in *inspection) {
	in.comparisons(func(_ root, n hsm.Node) {
		if strings.HasPrefix(n.Claim, "x-ms-runtime.") || n.Claim == "x-ms-runtime" {
			in.report(n, fmt.Sprintf("the guest chooses what %s says: any guest can choose the same", quote(n.Claim)),
				"ask for what the platform measures, such as "+hostData)
		}
	})
}
