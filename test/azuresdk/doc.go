// Package azuresdk calls the emulator with Azure's own clients, unmodified, and keeps the tables of
// their calls in docs/emulator.md.
package azuresdk
