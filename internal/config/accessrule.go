package config

// AccessRule says which callers may use which routes and keys. Package access enforces it.
type AccessRule struct {
	// The name for the log and the audit records: 1 to 32 lower-case letters, digits and hyphens. Required.
	Name string `json:"name"`
	// The user of the process that opened the unix connection.
	UID *uint32 `json:"uid,omitempty"`
	// The primary (effective) group of that process. Supplementary groups do not count.
	GID *uint32 `json:"gid,omitempty"`
	// The absolute path of a file with a bearer token. One of `uid`, `gid` and `token_file` is required; all that are set must match.
	TokenFile string `json:"token_file,omitempty"`
	// The routes that these callers may use; `["*"]` means all. Required.
	Routes []string `json:"routes"`
	// The aliases whose keys these callers may have; `["*"]` means all. The default is none.
	Keys []string `json:"keys,omitempty" empty:"strict"`
}
