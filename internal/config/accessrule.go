package config

// AccessRule says which callers may use which routes and keys. Package access enforces it.
type AccessRule struct {
	// Name of the rule, for the log and the audit: [a-z0-9-], 1 to 32 of them.
	Name string `json:"name"`
	// UID of the process that opened the unix connection. Nil means any.
	UID *uint32 `json:"uid,omitempty"`
	// GID is its primary (effective) group; supplementary ones do not count. Nil
	// means any.
	GID *uint32 `json:"gid,omitempty"`
	// TokenFile is the absolute path of a file with a bearer token that the request must
	// send. "" means none. At least one of UID, GID and TokenFile is required, and all that
	// are set must match.
	TokenFile string `json:"token_file,omitempty"`
	// Routes that these callers may use; "*" alone means all. Required.
	Routes []string `json:"routes"`
	// Keys are the aliases that these callers may release; "*" alone means all. Empty means none.
	Keys []string `json:"keys,omitempty" empty:"strict"`
}
