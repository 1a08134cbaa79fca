package cli

import (
	"log/slog"

	"skr/internal/hardening"
	"skr/internal/secmem"
)

// Harden hardens the process. Call it before the process holds any secret. It logs what the kernel
// does not allow and continues.
func Harden(log *slog.Logger) {
	for _, err := range hardening.Apply() {
		log.Warn("cannot harden the process", "error", err.Error())
	}
	if status := secmem.Protect(); status.Protection == secmem.None {
		log.Warn("cannot keep secrets in locked memory; raise the limit of locked memory (RLIMIT_MEMLOCK)")
	}
}
