package migrate

import (
	"cmp"
	"slices"
	"strings"
)

// measure notes the commands that measure what the policy needs.
func (t *translation) measure() {
	file := quote(cmp.Or(t.File, "POLICY"))
	if slices.Contains(t.stale, hostData) {
		t.next("until "+hostData+" names the new execution policy, no pod of the new platform gets the key; take it from the migrated manifest",
			"skrctl migrate --to "+string(t.To)+" --policy "+file+" --policy-out NEW --workload FILE")
	}
	var from []string
	for _, claim := range t.stale {
		name, found := adopted(claim)
		switch {
		case found && !slices.Contains(from, name):
			from = append(from, name)
		case !found && claim != hostData:
			t.next("set "+claim+" to the value in a token of a migrated pod", "skrctl show token.jwt")
		}
	}
	if len(from) > 0 {
		t.next("take the other values from a token of a migrated pod, which its POST /attest/maa returns",
			"skrctl policy new --platform "+t.To.Platform().String()+" --token token.jwt --with "+strings.Join(from, ","))
	}
}

func (t *translation) next(text, command string) {
	t.notes = append(t.notes, Note{Kind: Next, Where: "release policy", Text: text, Command: command})
}

// adopted returns the word of `skrctl policy new --with` for a claim.
func adopted(claim string) (string, bool) {
	switch {
	case claim == initdataRegister:
		return "pcr8", true
	case strings.HasSuffix(claim, "x-ms-sevsnpvm-launchmeasurement") && !strings.HasPrefix(claim, endorsement):
		return "launch-measurement", true
	case claim == endorsement+".x-ms-sevsnpvm-guestsvn", claim == isolation+"x-ms-sevsnpvm-guestsvn":
		return "svn", true
	}
	return "", false
}
