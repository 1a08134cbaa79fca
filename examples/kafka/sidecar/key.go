package sidecar

import (
	"net/url"
	"strings"
)

// nameOf parses "https://HOST/keys/NAME/VERSION" (Azure Key Vault, "Object
// identifiers") and its short forms NAME and NAME/VERSION.
func nameOf(id string) (name, version string) {
	path := id
	if u, err := url.Parse(id); err == nil && u.Host != "" {
		path = strings.TrimPrefix(u.Path, "/keys/")
	}
	name, version, _ = strings.Cut(path, "/")
	return name, version
}
