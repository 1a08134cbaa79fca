package lint

import (
	"skr/internal/check"
	"skr/releasepolicy"
)

// Rule is one kind of fault that Check finds.
type Rule struct {
	// Name is stable: people accept findings by it.
	Name     string
	Severity check.Outcome
	// Summary says what the rule reports.
	Summary string

	check func(*inspection)
}

// Rules returns all rules, in the order of the documentation.
func Rules() []Rule {
	return append([]Rule{
		{Name: "not-a-policy", Severity: Error, Summary: "the text is not a policy of the grammar"},
		{Name: "trailing-comma", Severity: Error, Summary: "a comma stands before a closing bracket"},
	}, rules...)
}

var rules = []Rule{
	{"authority-not-https", Error, "an authority does not begin with https://", authorityNotHTTPS},
	{"authority-form", Error, "an authority is not just https:// and a host", authorityForm},
	{"authority-not-azure", Warning, "an authority is not a host of Microsoft Azure Attestation", authorityNotAzure},
	{"authority-twice", Warning, "an authority is named more than once", authorityTwice},
	{"shared-authority", Warning, "an authority that all tenants share attests, and nothing says which workload", sharedAuthority},

	{"no-hostdata", Error, "a container gets the key without a condition on its HOST_DATA", noHostData},
	{"other-workload", Warning, "no condition names the HOST_DATA of the workload", otherWorkload},
	{"allow-all-hostdata", Error, "the HOST_DATA is that of a policy that allows everything", allowAllHostData},
	{"zero-hostdata", Error, "the HOST_DATA is zero, which is what guests without a policy have", zeroHostData},
	{"debug-not-excluded", Error, "a guest whose memory the host may read gets the key", debugNotExcluded},
	{"debuggers-not-excluded", Warning, "a trusted-launch machine with a debugger or test signatures gets the key", debuggersNotExcluded},
	{"compliance-not-required", Error, "a guest whose measurement Microsoft does not know gets the key", complianceNotRequired},
	{"secure-boot-not-required", Warning, "a virtual machine without Secure Boot gets the key", secureBootNotRequired},
	{"no-minimum-svn", Info, "utility VMs of any age get the key", noMinimumSVN},

	{"unknown-claim", Warning, "no token is known to have the claim", unknownClaim},
	{"claim-not-on-platform", Error, "the platform's tokens never have the claim", claimNotOnPlatform},
	{"claim-prefix", Error, "the platform's tokens have the claim elsewhere: with or without x-ms-isolation-tee", claimPrefix},
	{"volatile-claim", Warning, "the claim differs with each token, launch or processor", volatileClaim},
	{"guest-chosen-claim", Warning, "the guest itself chooses the claim's value", guestChosenClaim},

	{"hex-form", Error, "a value is not lower-case hexadecimal of the claim's length", hexForm},
	{"base64-form", Error, "a value is not standard base64 of 32 bytes", base64Form},
	{"boolean-form", Error, "a boolean is compared with something other than true or false", booleanForm},
	{"number-form", Error, "an integer is compared with something that is not one, or with leading zeros", numberForm},
	{"ordering-on-text", Error, "less or greater compares something that is not an integer", orderingOnText},
	{"compares-object", Error, "an object or a list is compared with a value", comparesObject},
	{"exists-ignores-value", Warning, "exists checks a boolean, and false meets it too", existsIgnoresValue},
	{"value-not-on-platform", Error, "the platform's tokens never have this value", valueNotOnPlatform},

	{"duplicate-condition", Warning, "a condition stands twice where once is enough", duplicateCondition},
	{"contradiction", Error, "a branch can never be met: two of its conditions exclude each other", contradiction},
	{"mixed-platforms", Error, "a branch asks for claims of several platforms, and no token has them together", mixedPlatforms},
	{"shadowed-branch", Warning, "a branch adds nothing: a sibling is met whenever it is", shadowedBranch},
	{"mutable-policy", Warning, "everyone who may update the key can change its policy", mutablePolicy},
}

func mutablePolicy(in *inspection) {
	if in.immutable != nil && !*in.immutable {
		in.report(releasepolicy.Condition{}, "the policy is not immutable: everyone who may update the key can replace it",
			"when the policy has proved to work, create the key with an immutable one")
	}
}
