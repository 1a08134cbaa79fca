package main

import (
	"fmt"
	"slices"
	"strings"

	"skr/test/emulator"
)

// addPod starts a pod with an execution policy that no other pod has. The keys of --key are not
// released to it.
func addPod(text *strings.Builder, cloud *emulator.Cloud, name string) error {
	first := cloud.Machine()
	if !hasPolicy(first.Platform()) {
		return fmt.Errorf("--pod: platform %q has no execution policy", first.Platform())
	}
	policy := fmt.Sprintf("package policy\n\n# pod %s, TEST ONLY\ndefault allow := true\n", name)
	pod, err := cloud.AddMachine(name, emulator.MachineConfig{Platform: first.Platform(), Policy: policy})
	if err != nil {
		return fmt.Errorf("--pod: %w", err)
	}
	fmt.Fprintf(text, "# the pod %s has these instead:\n", name)
	common := cloud.Environment(first)
	for _, entry := range cloud.Environment(pod) {
		if !slices.Contains(common, entry) {
			fmt.Fprintf(text, "#%s %s", name, export(entry))
		}
	}
	return nil
}

// hasPolicy reports whether machines of the platform have an execution policy.
func hasPolicy(platform emulator.Platform) bool {
	return platform == emulator.ACI || platform == emulator.AKSKata
}
