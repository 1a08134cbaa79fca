package migrate

import (
	"fmt"

	"skr/releasepolicy/claims"
)

// Target is a platform to migrate to.
type Target string

// The targets.
const (
	VirtualNodes Target = "aci-vn2" // virtual nodes on Azure Container Instances
	CVM          Target = "aks-cvm" // AKS pool of confidential virtual machines
	CoCo         Target = "coco"    // open-source Confidential Containers with peer pods on Azure
)

// ParseTarget returns the target of that name.
func ParseTarget(name string) (Target, error) {
	switch t := Target(name); t {
	case VirtualNodes, CVM, CoCo:
		return t, nil
	}
	return "", fmt.Errorf("platform %q is none of %s, %s, %s", name, VirtualNodes, CVM, CoCo)
}

// Platform returns the platform whose tokens the target's pods get. A peer pod runs in a confidential
// virtual machine of its own.
func (t Target) Platform() claims.Platform {
	if t == VirtualNodes {
		return claims.ACI
	}
	return claims.CVM
}

// Form is how a pod runs its sidecar.
type Form string

// The forms.
const (
	Keep   Form = ""
	Native Form = "native" // init container that always restarts
	Plain  Form = "plain"  // ordinary container
)

// ParseForm returns the form of that name; "keep" is Keep.
func ParseForm(name string) (Form, error) {
	switch f := Form(name); f {
	case Native, Plain:
		return f, nil
	case "keep":
		return Keep, nil
	}
	return "", fmt.Errorf("%q is none of keep, native, plain", name)
}
