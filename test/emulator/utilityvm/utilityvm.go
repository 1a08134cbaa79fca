// Package utilityvm decides what may run in a container group, as the agent in the group's
// utility VM does: it loads signed policy fragments that an import of the execution policy
// admits, and starts containers that the policy or a loaded fragment lists.
//
//	vm, err := utilityvm.New(policy)
//	err = vm.LoadFragment(signed)
//	kept, err := vm.CreateContainer(utilityvm.Container{Layers: layers, Command: command, Env: env, WorkingDir: "/"})
//
// The rules are those of microsoft/hcsshim, pkg/securitypolicy, framework.rego. The module
// test/enforcer compares the decisions with that framework's. The package looks at layers,
// command, working directory and environment of a container; it ignores mounts, users,
// capabilities and processes. docs/emulator.md lists what differs.
package utilityvm

import (
	"errors"
	"fmt"
	"slices"

	"skr/internal/jose/sign1"
	"skr/internal/operator/execpolicy"
)

// VM is the policy of a running group with the fragments loaded so far.
type VM struct {
	policy     *execpolicy.Policy
	imports    []execpolicy.Import
	containers []execpolicy.Container
}

// New starts a utility VM with an execution policy. It refuses a policy that it cannot read
// as a whole, and one that decides with rules of its own, unless that allows everything.
func New(policy []byte) (*VM, error) {
	p, err := execpolicy.Parse(policy)
	switch {
	case err != nil:
	case p.Unread != nil:
		err = p.Unread
	case p.Namespace != execpolicy.Namespace:
		err = fmt.Errorf("its package is %q, and must be %q", p.Namespace, execpolicy.Namespace)
	case p.Custom() && !p.AllowsEverything():
		err = errors.New("it decides about containers with rules of its own, which are not emulated")
	}
	if err != nil {
		return nil, fmt.Errorf("utility VM: reading the execution policy: %w", err)
	}
	return &VM{p, p.Imports, p.Containers}, nil
}

// LoadFragment verifies a signed fragment and adds what an import includes of it. Without such
// an import, nothing changes and the error says why each import refuses.
func (v *VM) LoadFragment(signed []byte) error {
	message, err := sign1.Verify(signed, execpolicy.MaxBytes)
	if err != nil {
		return fmt.Errorf("utility VM: verifying the fragment: %w", err)
	}
	fragment, err := execpolicy.Parse(message.Payload)
	switch {
	case err != nil:
	case fragment.Unread != nil:
		err = fragment.Unread
	case !fragment.IsFragment():
		err = errors.New("it has no svn, or is a top-level policy")
	}
	if err != nil {
		return fmt.Errorf("utility VM: reading the fragment: %w", err)
	}
	return v.load(message, fragment)
}

func (v *VM) load(message *sign1.Message, fragment *execpolicy.Policy) error {
	reasons := []error{errors.New("the policy imports no fragments")}
	if len(v.imports) > 0 {
		reasons = nil
	}
	admitted := false
	for _, rule := range slices.Clone(v.imports) {
		if err := rule.Admits(message.Issuer, message.Feed, fragment.SVN); err != nil {
			reasons = append(reasons, err)
			continue
		}
		admitted = true
		v.include(rule, fragment)
	}
	if !admitted {
		return fmt.Errorf("utility VM: no import admits the fragment: %w", errors.Join(reasons...))
	}
	return nil
}

func (v *VM) include(rule execpolicy.Import, fragment *execpolicy.Policy) {
	if slices.Contains(rule.Includes, "containers") {
		v.containers = append(v.containers, fragment.Containers...)
	}
	if slices.Contains(rule.Includes, "fragments") {
		v.imports = append(v.imports, fragment.Imports...)
	}
}
