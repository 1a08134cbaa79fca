package utilityvm

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"skr/internal/operator/execpolicy"
)

// Container is what the host asks the utility VM to start.
type Container struct {
	Name       string   // for messages
	Layers     []string // dm-verity root hashes, as the host mounts them
	Command    []string
	Env        []string // NAME=VALUE
	WorkingDir string
}

// CreateContainer returns the variables that the container gets, or an error that says for
// each container of the policy and its fragments what differs. Variables that no rule admits
// are dropped (confcom's allow_environment_variable_dropping).
func (v *VM) CreateContainer(c Container) (kept []string, err error) {
	if v.policy.AllowsEverything() {
		return c.Env, nil
	}
	reasons := []error{errors.New("the policy and the loaded fragments list no container")}
	if len(v.containers) > 0 {
		reasons = nil
	}
	for _, listed := range v.containers {
		kept, err := c.match(listed)
		if err == nil {
			return kept, nil
		}
		reasons = append(reasons, fmt.Errorf("container %q: %w", listed.Name, err))
	}
	return nil, fmt.Errorf("utility VM: refusing container %q: %w", c.Name, errors.Join(reasons...))
}

func (c Container) match(listed execpolicy.Container) (kept []string, err error) {
	switch {
	case !slices.Equal(c.Layers, listed.Layers):
		return nil, errors.New("it has other layers")
	case !slices.Equal(c.Command, listed.Command):
		return nil, fmt.Errorf("its command is %q, not %q", listed.Command, c.Command)
	case c.WorkingDir != listed.WorkingDir:
		return nil, fmt.Errorf("its working directory is %q, not %q", listed.WorkingDir, c.WorkingDir)
	}
	for _, variable := range c.Env {
		if slices.ContainsFunc(listed.EnvRules, func(rule execpolicy.EnvRule) bool { return admits(rule, variable) }) {
			kept = append(kept, variable)
		}
	}
	for _, rule := range listed.EnvRules {
		met := slices.ContainsFunc(kept, func(variable string) bool { return admits(rule, variable) })
		if rule.Required && !met {
			return nil, fmt.Errorf("a required variable is missing: %q", rule.Pattern)
		}
	}
	return kept, nil
}

// admits matches a variable as framework.rego does: env_ok and anchor_pattern.
func admits(rule execpolicy.EnvRule, variable string) bool {
	switch rule.Strategy {
	case "string":
		return rule.Pattern == variable
	case "re2":
		pattern, err := regexp.Compile(anchored(rule.Pattern))
		return err == nil && pattern.MatchString(variable)
	}
	return false
}

// anchored adds ^ and $ as the framework does: as text, so that alternatives stay as wide as they are there.
func anchored(pattern string) string {
	if !strings.HasPrefix(pattern, "^") {
		pattern = "^" + pattern
	}
	if !strings.HasSuffix(pattern, "$") {
		pattern += "$"
	}
	return pattern
}
