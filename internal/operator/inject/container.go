package inject

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	sidecarName = "skr"
	agentGroup  = 65532 // group of the agent's sockets
	// placeholder is what a virtual node replaces (microsoft/virtualnodesOnAzureContainerInstances, "THIM Downlevel APIs").
	placeholder  = "===VIRTUALNODE2.CC.THIM.ENDPOINT==="
	endorsements = "/opt/confidential-containers/share/kata-containers/reference-info-base64"
)

const ready = "exec: {command: [/bin/skr, healthcheck]}, timeoutSeconds: 5"

// container returns the sidecar of a pod.
func (o Options) container(native bool) *yaml.Node {
	var restart *yaml.Node
	if native {
		restart = scalar("Always")
	}
	return mapping(
		"name", scalar(sidecarName),
		"image", scalar(o.Image),
		"command", written("[/bin/skr]"),
		"restartPolicy", restart,
		"env", list(o.environment(target{})...),
		"startupProbe", written("{"+ready+", periodSeconds: 2, failureThreshold: 60}"),
		"readinessProbe", written("{"+ready+"}"),
		"resources", mapping("requests", written("{cpu: 50m, memory: 64Mi}"), "limits", written("{memory: 256Mi}")),
		"securityContext", o.securityContext(),
		"terminationMessagePolicy", scalar("FallbackToLogsOnError"),
		"volumeMounts", list(o.mounts()...),
	)
}

// groupContainer returns the sidecar of a container group. Its user has no capabilities, also if it is 0.
func (o Options) groupContainer(t target) *yaml.Node {
	user := max(o.User, 0)
	return mapping("name", scalar(sidecarName), "properties", mapping(
		"image", scalar(o.Image),
		"command", written("[/bin/skr]"),
		"environmentVariables", list(o.environment(t)...),
		"readinessProbe", written("{exec: {command: [/bin/skr, healthcheck]}, periodSeconds: 10, timeoutSeconds: 5}"),
		"resources", written("{requests: {cpu: 0.5, memoryInGB: 0.5}}"),
		"securityContext", mapping("allowPrivilegeEscalation", written("false"), "capabilities", written("{drop: [ALL]}"),
			"runAsUser", number(user), "runAsGroup", number(user)),
		"volumeMounts", list(o.mounts()...),
	))
}

func (o Options) securityContext() *yaml.Node {
	if o.Platform.UsesVTPM() && o.Direct {
		return written("{privileged: true, runAsUser: 0, runAsNonRoot: false, readOnlyRootFilesystem: true}")
	}
	user := o.User
	if user < 0 {
		user = 65532
	}
	root := written("true")
	if user == 0 {
		root = written("false")
	}
	return mapping("allowPrivilegeEscalation", written("false"), "capabilities", written("{drop: [ALL]}"), "runAsUser", number(user),
		"runAsGroup", number(agentGroup), "runAsNonRoot", root, "seccompProfile", written("{type: RuntimeDefault}"),
		"readOnlyRootFilesystem", written("true"))
}

// environment returns the variables: those of the platform, and the settings.
func (o Options) environment(t target) (variables []*yaml.Node) {
	for _, v := range slices.Concat(o.platformVariables(t), o.Settings) {
		switch {
		case t.isARM && strings.HasPrefix(v.Value, "["):
			v.Value = "[" + v.Value // a text that is no expression ("Template syntax", Azure Resource Manager)
		case !t.isGroup:
			v.Value = strings.ReplaceAll(v.Value, "$(", "$$(") // Kubernetes would expand it
		}
		variables = append(variables, inLine(mapping("name", scalar(v.Name), "value", scalar(v.Value))))
	}
	return variables
}

func (o Options) platformVariables(t target) (variables []Variable) {
	switch {
	case t.isGroup:
	case o.Platform.UsesVTPM():
		tpm, log := "unix:/run/skr/tpm.sock", "/run/skr/event-log"
		if o.Direct {
			tpm, log = "/dev/tpmrm0", "/sys/kernel/security/tpm0/binary_bios_measurements"
		}
		variables = []Variable{{"SKR_REPORT_SOURCE", "vtpm"}, {"SKR_TPM", tpm}, {"SKR_EVENT_LOG", log}}
	case o.Platform.onVirtualNode():
		variables = []Variable{{"VN2_THIM_ENDPOINT", placeholder}}
	}
	isSet := slices.ContainsFunc(o.Settings, func(v Variable) bool { return v.Name == "SKR_CLIENT_ID" })
	if o.usesWorkloadIdentity() && !isSet {
		variables = append(variables, Variable{"SKR_CLIENT_ID", o.Identity})
	}
	return variables
}

func (o Options) mounts() (mounts []*yaml.Node) {
	switch {
	case o.Platform.UsesVTPM() && o.Direct:
		mounts = []*yaml.Node{written("{name: skr-tpm, mountPath: /dev/tpmrm0}"),
			written("{name: skr-securityfs, mountPath: /sys/kernel/security, readOnly: true}")}
	case o.Platform.UsesVTPM():
		mounts = []*yaml.Node{written("{name: skr-vtpm, mountPath: /run/skr, readOnly: true}")}
	case o.Platform == Kata:
		mounts = []*yaml.Node{written("{name: skr-endorsement, mountPath: " + endorsements + ", readOnly: true}")}
	}
	for _, m := range o.Mounts {
		mounts = append(mounts, inLine(mapping("name", scalar(m.Volume), "mountPath", scalar(m.Path))))
	}
	return mounts
}

func (o Options) volumes() []*yaml.Node {
	switch {
	case o.Platform.UsesVTPM() && o.Direct:
		return []*yaml.Node{written("{name: skr-tpm, hostPath: {path: /dev/tpmrm0, type: CharDevice}}"),
			written("{name: skr-securityfs, hostPath: {path: /sys/kernel/security, type: Directory}}")}
	case o.Platform.UsesVTPM():
		return []*yaml.Node{written("{name: skr-vtpm, hostPath: {path: /run/skr, type: Directory}}")}
	case o.Platform == Kata:
		return []*yaml.Node{written("{name: skr-endorsement, hostPath: {path: " + endorsements + "}}")}
	}
	return nil
}
