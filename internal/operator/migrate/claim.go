package migrate

import (
	"strings"

	"skr/releasepolicy"
	"skr/releasepolicy/claims"
)

// Names of claims (package claims).
const (
	attestationType  = "x-ms-attestation-type"
	compliance       = "x-ms-compliance-status"
	hostData         = "x-ms-sevsnpvm-hostdata"
	isolation        = "x-ms-isolation-tee."
	secureBoot       = "secureboot"
	initTime         = "x-ms-inittime"
	endorsement      = "x-ms-sevsnpvm-uvm-endorsement" // begins the names of an endorsement's claims
	feed             = endorsement + "-headers.feed"
	initdataRegister = "x-ms-azurevm-attested-pcr-values.pcr8"
)

// measured are claims whose values differ between platforms and machines, without the prefix.
var measured = map[string]bool{
	"x-ms-sevsnpvm-launchmeasurement": true, "x-ms-sevsnpvm-guestsvn": true, "x-ms-sevsnpvm-idkeydigest": true,
	"x-ms-sevsnpvm-authorkeydigest": true, "x-ms-sevsnpvm-familyId": true, "x-ms-sevsnpvm-imageId": true,
	"x-ms-sevsnpvm-chipid": true, "x-ms-sevsnpvm-reportid": true, "x-ms-sevsnpvm-reportdata": true,
	endorsement + ".x-ms-sevsnpvm-guestsvn": true, endorsement + ".x-ms-sevsnpvm-guestsvn-int": true,
	endorsement + ".x-ms-sevsnpvm-launchmeasurement": true, endorsement + "-headers.iss": true,
}

// forGroup translates a condition for the tokens of container groups, which have the same claims.
func (t *translation) forGroup(c releasepolicy.Condition) []releasepolicy.Condition {
	switch {
	case c.Claim == hostData:
		return t.hostData(c)
	case c.Claim == compliance || c.Claim == feed:
		return t.fixed(c, c.Claim)
	case measured[c.Claim]:
		return t.old(c)
	}
	return []releasepolicy.Condition{c}
}

func (t *translation) hostData(c releasepolicy.Condition) []releasepolicy.Condition {
	if len(t.HostData) == 0 || c.Operator != releasepolicy.Equals {
		return t.old(c)
	}
	t.note(Changed, c.Claim, "has the HOST_DATA of the migrated workload")
	all := make([]releasepolicy.Condition, len(t.HostData))
	for i, digest := range t.HostData {
		all[i] = equals(hostData, digest)
	}
	if len(all) == 1 {
		return all
	}
	return []releasepolicy.Condition{{Kind: releasepolicy.AnyOf, Conditions: all}}
}

// forMachine translates a condition for the tokens of virtual machines, where the claims of the report
// are below x-ms-isolation-tee.
func (t *translation) forMachine(c releasepolicy.Condition) []releasepolicy.Condition {
	switch {
	case c.Claim == attestationType && c.Operator == releasepolicy.Equals && c.Value.Text == "sevsnpvm":
		t.note(Changed, c.Claim, "becomes azurevm, and "+isolation+attestationType+" sevsnpvm")
		return []releasepolicy.Condition{equals(attestationType, "azurevm"), equals(isolation+attestationType, "sevsnpvm")}
	case c.Claim == compliance:
		return t.fixed(c, isolation+compliance)
	case c.Claim == hostData || c.Claim == initTime:
		return t.unbound(c)
	case strings.HasPrefix(c.Claim, endorsement):
		t.note(Lost, c.Claim, "is left out: there is no utility VM; the compliance status stands for the measurement")
		return nil
	case !strings.HasPrefix(c.Claim, "x-ms-sevsnpvm-"):
		return []releasepolicy.Condition{c}
	}
	within := c
	within.Claim = isolation + c.Claim
	if measured[c.Claim] {
		return t.old(within)
	}
	t.note(Changed, c.Claim, "moves below "+strings.TrimSuffix(isolation, "."))
	return []releasepolicy.Condition{within}
}

// unbound leaves out the condition that names the workload.
func (t *translation) unbound(c releasepolicy.Condition) []releasepolicy.Condition {
	const all = "every pod of every such machine gets the key if its identity may release it"
	if t.To == CoCo {
		t.stale = append(t.stale, initdataRegister)
		t.note(Lost, c.Claim, "is left out: HOST_DATA of a peer pod's machine is zero, and initdata is measured into PCR 8. Until the policy names PCR 8, "+all)
		return nil
	}
	t.note(Lost, c.Claim, "is left out: HOST_DATA of a virtual machine is zero, and its evidence does not tell pods apart: "+all)
	return nil
}

// fixed gives a claim the only value that the platform's tokens have in it.
func (t *translation) fixed(c releasepolicy.Condition, name string) []releasepolicy.Condition {
	known, _ := claims.Lookup(name)
	was := c.Value.Text
	c.Claim = name
	if values := known.Values[t.To.Platform()]; c.Operator == releasepolicy.Equals && len(values) == 1 && was != values[0] {
		c.Value = releasepolicy.Text(values[0])
		t.note(Changed, name, "becomes "+values[0])
	}
	return []releasepolicy.Condition{c}
}
