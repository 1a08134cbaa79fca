// Package hardening protects the process from other processes.
//
// Call [Apply] first in main, before there are secrets:
//
//	for _, err := range hardening.Apply() {
//		log.Warn("the process is less protected than it could be", "error", err)
//	}
//
// Then the process is not dumpable (prctl(2), PR_SET_DUMPABLE): other processes of the same user can
// neither trace it nor open its memory, environment and descriptors under /proc. It writes no core
// (RLIMIT_CORE), also not to a program in core_pattern that respects the limit, and its children gain no
// privileges (PR_SET_NO_NEW_PRIVS).
//
// [CheckEnvironment] refuses variables that make a linked library print secrets.
//
// Root, or a process with CAP_SYS_PTRACE in the container, can still read everything.
package hardening

import "fmt"

// Apply applies each measure and returns errors for those that the system refused. They are no reason to
// stop: the measures only hinder an attacker who is already in the pod.
func Apply() []error {
	var refused []error
	for _, measure := range []struct {
		doing string
		do    func() error
	}{
		{"becoming not dumpable", refuseDumps},
		{"limiting the size of cores to 0", refuseCores},
		{"giving up new privileges", refusePrivileges},
	} {
		if err := measure.do(); err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", measure.doing, err))
		}
	}
	return refused
}
