// Package hardening hides the process from its neighbours.
//
// [Apply] comes first in main, before there are secrets:
//
//	for _, err := range hardening.Apply() {
//		log.Warn("the process is less protected than it could be", "error", err)
//	}
//
// The process is then not dumpable (prctl(2), PR_SET_DUMPABLE): another process
// of the same user can neither trace it nor open its memory, environment and
// descriptors under /proc. It leaves no core (RLIMIT_CORE), also not to a program
// in core_pattern that asks for the limit, and what it starts gains no privileges
// (PR_SET_NO_NEW_PRIVS).
//
// [CheckEnvironment] finds the variables by which a linked library prints secrets.
//
// Root, or a process with CAP_SYS_PTRACE in the container, still reads everything.
package hardening

import "fmt"

// Apply takes each measure and returns those that the system refused. None is
// worth not to start for: each makes an attack harder that needs a foothold in
// the pod.
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
