// Package diagnosis makes the mistakes that users make, one at a time, and compares the
// doctor's findings and the reason of a refused release with the tables in
// docs/reference/causes.md.
package diagnosis
