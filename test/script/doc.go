// Package script runs the commands of skr as a person types them: each file in
// testdata is a testscript (pkg.go.dev/github.com/rogpeppe/go-internal/testscript).
package script
