package manifests

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// excepted pods break the named rules of the standard, each for a reason. They
// keep all other rules.
var excepted = map[string]struct {
	why   string
	rules []string
}{
	"helm/agent-values.yaml": {
		"the agent holds the TPM of its node, and Kubernetes gives a node's device only to privileged containers",
		[]string{"allowPrivilegeEscalation != false", "privileged", "restricted volume types", "runAsNonRoot != true", "runAsUser=0", "unrestricted capabilities"},
	},
	"helm/direct-values.yaml": {
		"vtpm.access=direct gives the sidecar the TPM of its node, like the agent",
		[]string{"allowPrivilegeEscalation != false", "privileged", "restricted volume types", "runAsNonRoot != true", "runAsUser=0", "unrestricted capabilities"},
	},
	"helm/aks-kata-values.yaml": {
		"the utility VM's endorsement is a file of the utility VM, which Kata provides as a hostPath; endorsementFromHost=false avoids it",
		[]string{"restricted volume types"},
	},
	"csi/provider.yaml": {
		"the provider's socket is in a directory of root on the node",
		[]string{"restricted volume types", "runAsNonRoot != true", "runAsUser=0"},
	},
	"virtualnodes/skr.yaml": {
		"containers of a group share hostPath volumes of their utility VM, in which only root may open the report device",
		[]string{"restricted volume types", "runAsNonRoot != true", "runAsUser=0"},
	},
	"virtualnodes/application.yaml": {
		"the socket in the shared volume is for its owner",
		[]string{"restricted volume types", "runAsNonRoot != true", "runAsUser=0"},
	},
	"kustomize/example": {
		"the component aks-kata mounts the same file",
		[]string{"restricted volume types"},
	},
}

// TestRestricted checks that every pod keeps to the "restricted" standard
// (Kubernetes, "Pod Security Standards"), except for what excepted lists.
func TestRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	checked := 0
	for name, objects := range renders(t) {
		if strings.HasPrefix(name, "kafka/") {
			continue // the documentation's own pods
		}
		for _, p := range pods(objects) {
			checked++
			var broken []string
			for _, result := range evaluator.EvaluatePod(restricted, &p.template.ObjectMeta, &p.template.Spec) {
				if !result.Allowed {
					broken = append(broken, result.ForbiddenReason)
				}
			}
			slices.Sort(broken)
			if !slices.Equal(broken, excepted[name].rules) {
				t.Errorf("%s: %s %s breaks %q, may break %q", name, p.kind, p.name, broken, excepted[name].rules)
			}
		}
	}
	if checked < 8 {
		t.Errorf("only %d pods were checked", checked)
	}
}
