// Package diagnosis makes everything wrong that users get wrong, one at a time,
// and compares what the doctor and a refused release say with the table in
// docs/diagnosis.md.
package diagnosis
