// Package rollout keeps the release policies of keys in step with what is deployed.
//
// Each change of a pod changes its measurement, and with it what a release policy must allow. A
// roll-out without an outage allows the new measurement, deploys, and then retires the old one.
//
// A [Selection] is what one such step adds to a policy or removes from it. A [Proposal] is the
// change of one key: the difference in meaning, which pods lose the key, and why the change
// gives it to more than before. [NewPlan] compares two deployment files and returns the steps.
// An [Inventory] names the keys of an application with the files of the pods that use them:
//
//	inventory, err := rollout.ParseInventory(text)
//	wanted, err := inventory.Resolve(rollout.Surroundings{Measure: readManifest, …})
//	for _, w := range wanted {
//		status := w.Compare(policy)             // what is missing, and what belongs to no pod
//		next, err := w.Target(policy, false)    // with what is missing
//	}
//
// The package reads and writes no key: package provision does.
package rollout
