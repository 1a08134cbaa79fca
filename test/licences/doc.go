// Package licences checks the licences of the modules that the programs link, and keeps
// docs/licences.md.
package licences
