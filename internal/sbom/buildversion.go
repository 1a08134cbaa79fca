package sbom

import "runtime/debug"

// release is set by the linker in builds outside a repository.
var release string

// Version returns the version that the build set, or the module version or commit that the Go toolchain
// recorded.
func Version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return "unknown"
}
