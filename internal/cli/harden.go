package cli

import (
	"log/slog"

	"skr/internal/hardening"
	"skr/internal/secmem"
)

// Harden the process before it has anything to keep. What the kernel does not
// allow is told, and no reason to end: the key is as safe as the machine lets it be.
func Harden(log *slog.Logger) {
	for _, err := range hardening.Apply() {
		log.Warn("the process cannot be hardened", "error", err.Error())
	}
	if status := secmem.Protect(); status.Protection == secmem.None {
		log.Warn("secrets cannot be kept in locked memory; raise the limit of locked memory (RLIMIT_MEMLOCK)")
	}
}
