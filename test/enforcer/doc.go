// Package enforcer runs the utility VM's own enforcer of execution policies over the policies
// and fragments that skrctl reads and writes. It contains only tests, which need hcsshim's
// build tag rego.
package enforcer
