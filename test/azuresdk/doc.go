// Package azuresdk calls the emulator with Azure's own clients, unmodified, and keeps the table of
// their calls in docs/emulator.md.
package azuresdk
