package fragment

import (
	"fmt"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"skr/internal/operator/execpolicy"
)

// Platform is where a container runs. It adds environment variables and mounts of its
// own, which the policy must admit.
type Platform struct {
	env    []execpolicy.EnvRule
	mounts []execpolicy.Mount
}

// ParsePlatform reads aci or aci-vn2.
func ParsePlatform(name string) (Platform, error) {
	switch name {
	case "aci":
		return Platform{slices.Concat(always, fabric), aciMounts}, nil
	case "aci-vn2":
		return Platform{slices.Concat(always, fabric, virtualNode), virtualNodeMounts}, nil
	}
	return Platform{}, fmt.Errorf("platform %q is unknown; use aci or aci-vn2", name)
}

// What the platform adds (Azure/azure-cli-extensions, src/confcom/azext_confcom/data/
// internal_config.json: openGCS, fabric, managedIdentity, enableRestart; for virtual nodes
// src/confcom/samples/vn2, basic_command_args and workload_identity).
var (
	always = []execpolicy.EnvRule{{Pattern: "TERM=xterm", Strategy: "string"}}
	fabric = []execpolicy.EnvRule{
		matching(`((?i)FABRIC)_.+=.+`), matching(`HOSTNAME=.+`), matching(`T(E)?MP=.+`), matching(`FabricPackageFileName=.+`),
		matching(`HostedServiceName=.+`), matching(`IDENTITY_API_VERSION=.+`), matching(`IDENTITY_HEADER=.+`),
		matching(`IDENTITY_SERVER_THUMBPRINT=.+`), matching(`azurecontainerinstance_restarted_by=.+`),
	}
	aciMounts = []execpolicy.Mount{bind("/etc/resolv.conf", "sandbox:///tmp/atlas/resolvconf/.+", "rw")}

	// virtualNode are the variables of services and of workload identity.
	virtualNode = []execpolicy.EnvRule{
		matching(`[A-Z0-9_]+_SERVICE_HOST=.+`), matching(`[A-Z0-9_]+_SERVICE_PORT=.+`), matching(`[A-Z0-9_]+_SERVICE_PORT_[A-Z0-9_]+=.+`),
		matching(`[A-Z0-9_]+_PORT=.+`), matching(`[A-Z0-9_]+_PORT_[0-9]+_TCP=.+`), matching(`[A-Z0-9_]+_PORT_[0-9]+_TCP_PROTO=.+`),
		matching(`[A-Z0-9_]+_PORT_[0-9]+_TCP_PORT=.+`), matching(`[A-Z0-9_]+_PORT_[0-9]+_TCP_ADDR=.+`),
		matching(`AZURE_CLIENT_ID=.+`), matching(`AZURE_TENANT_ID=.+`), matching(`AZURE_FEDERATED_TOKEN_FILE=.+`), matching(`AZURE_AUTHORITY_HOST=.+`),
	}
	virtualNodeMounts = []execpolicy.Mount{
		bind("/etc/resolv.conf", emptyDirectory, "rw"), bind("/var/run/secrets/kubernetes.io/serviceaccount", emptyDirectory, "ro"),
		bind("/etc/hosts", emptyDirectory, "rw"), bind("/dev/termination-log", emptyDirectory, "rw"), bind("/etc/hostname", emptyDirectory, "rw"),
		bind("/var/run/secrets/azure/tokens", emptyDirectory, "ro"),
	}
)

const emptyDirectory = "sandbox:///tmp/atlas/emptydir/.+"

// signals with which a container is stopped: SIGKILL and SIGTERM.
var signals = []int{9, 15}

func matching(pattern string) execpolicy.EnvRule {
	return execpolicy.EnvRule{Pattern: pattern, Strategy: "re2"}
}

func bind(destination, source, mode string) execpolicy.Mount {
	return execpolicy.Mount{Destination: destination, Source: source, Options: []string{"rbind", "rshared", mode}, Type: "bind"}
}

// capabilities of a container that is not privileged (internal_config.json,
// default_unprivileged_capabilities).
var capabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
	"CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// container returns what an image's configuration asks for, with what the platform adds.
func (p Platform) container(config v1.ImageConfig) execpolicy.Container {
	c := execpolicy.Container{
		Command:          slices.Concat(config.Entrypoint, config.Cmd),
		WorkingDir:       config.WorkingDir,
		Mounts:           nonNil(slices.Clone(p.mounts)),
		ExecProcesses:    []execpolicy.Process{},
		Signals:          signals,
		User:             anyUser(),
		AllowStdioAccess: true,
		Capabilities: execpolicy.Capabilities{
			Ambient: []string{}, Inheritable: []string{},
			Bounding: capabilities, Effective: capabilities, Permitted: capabilities,
		},
	}
	if c.WorkingDir == "" {
		c.WorkingDir = "/"
	}
	for _, variable := range config.Env {
		c.EnvRules = append(c.EnvRules, execpolicy.EnvRule{Pattern: variable, Strategy: "string"})
	}
	c.EnvRules = append(c.EnvRules, p.env...)
	return c
}

// anyUser admits every user, as confcom does (internal_config.json, default_user).
func anyUser() execpolicy.User {
	anyone := execpolicy.IDName{Strategy: "any"}
	return execpolicy.User{Name: anyone, Groups: []execpolicy.IDName{anyone}, Umask: "0022"}
}
