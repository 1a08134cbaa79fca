package inject

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"skr/internal/operator/splice"
)

// group returns what a container group gets.
func (o Options) group(t target, record string) splice.Overlay {
	var identity, policy, sku *yaml.Node
	if o.Identity != "" && splice.Member(t.object, "identity") == nil {
		identity = mapping("type", scalar("UserAssigned"), "userAssignedIdentities", mapping(o.Identity, written("{}")))
	}
	if splice.Member(t.spec(), "confidentialComputeProperties") == nil {
		policy = mapping("ccePolicy", written(`""`))
	}
	if old := splice.Scalar(splice.Member(t.spec(), "sku")); !t.isARM || !strings.HasPrefix(old, "[") {
		sku = scalar("Confidential")
	}
	return splice.Overlay{
		Value: mapping("tags", mapping(tag, scalar(record)), "identity", identity, "properties",
			mapping("sku", sku, "confidentialComputeProperties", policy, "containers", list(o.groupContainer(t)))),
		Whole: []string{"/identity", "/properties/confidentialComputeProperties"},
	}
}

// checkGroup returns an error for a container group that cannot have the sidecar.
func (o Options) checkGroup(t target) error {
	have := splice.Member(t.object, "identity")
	switch {
	case o.Platform != "" && o.Platform != Group:
		return errAt(t.object, t.where()+" is a container group, whose platform is aci")
	case strings.EqualFold(splice.Scalar(splice.Member(t.spec(), "osType")), "Windows"):
		return errAt(t.object, t.where()+" is for Windows, and skr runs on Linux")
	case o.usesWorkloadIdentity():
		return errAt(t.object, t.where()+" has no workload identity: --identity must be the resource id of a managed identity")
	case o.Identity != "" && have != nil && splice.Member(have, "userAssignedIdentities", o.Identity) == nil:
		return errAt(have, t.where()+" has identities, and not this one: add it to userAssignedIdentities")
	}
	return o.checkNames(t)
}
