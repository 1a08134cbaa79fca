package execpolicy

// Container is one container that a policy admits (microsoft/hcsshim, pkg/securitypolicy,
// framework.rego: check_container).
type Container struct {
	Name             string       `json:"name,omitempty"`
	ID               string       `json:"id,omitempty"` // the image that it was made from; descriptive
	Command          []string     `json:"command"`
	EnvRules         []EnvRule    `json:"env_rules"`
	Layers           []string     `json:"layers"` // dm-verity root hashes, 64 hexadecimal digits
	Mounts           []Mount      `json:"mounts"`
	ExecProcesses    []Process    `json:"exec_processes"`
	Signals          []int        `json:"signals"`
	User             User         `json:"user"`
	Capabilities     Capabilities `json:"capabilities"`
	SeccompSHA256    string       `json:"seccomp_profile_sha256"`
	WorkingDir       string       `json:"working_dir"`
	AllowElevated    bool         `json:"allow_elevated"`
	AllowStdioAccess bool         `json:"allow_stdio_access"`
	NoNewPrivileges  bool         `json:"no_new_privileges"`
}

// EnvRule admits environment variables, written NAME=VALUE.
type EnvRule struct {
	Pattern  string `json:"pattern"`
	Required bool   `json:"required"`
	Strategy string `json:"strategy"` // string or re2
}

// Mount admits a mount by a pattern (re2) of its source.
type Mount struct {
	Destination string   `json:"destination"`
	Options     []string `json:"options"`
	Source      string   `json:"source"`
	Type        string   `json:"type"`
}

// Process may be started in a running container.
type Process struct {
	Command          []string `json:"command"`
	Signals          []int    `json:"signals"`
	AllowStdioAccess bool     `json:"allow_stdio_access,omitempty"`
}

// User admits the ids that a container runs under.
type User struct {
	Name   IDName   `json:"user_idname"`
	Groups []IDName `json:"group_idnames"`
	Umask  string   `json:"umask"` // four octal digits
}

// IDName admits ids or names.
type IDName struct {
	Pattern  string `json:"pattern"`
	Strategy string `json:"strategy"` // id, name, re2 or any
}

// Capabilities are those of Linux, by set.
type Capabilities struct {
	Ambient     []string `json:"ambient"`
	Bounding    []string `json:"bounding"`
	Effective   []string `json:"effective"`
	Inheritable []string `json:"inheritable"`
	Permitted   []string `json:"permitted"`
}
