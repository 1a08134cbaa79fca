package serving

import (
	"bytes"
	"log"
	"log/slog"
	"sync"
	"time"
)

// complainEvery spaces the lines of Complaints: a caller can cause one for each
// connection.
const complainEvery = time.Minute

// Complaints returns an ErrorLog for an http.Server: at most one warning a minute, with
// the number of those since the one before.
func Complaints(logger *slog.Logger) *log.Logger {
	return log.New(&complaints{log: logger}, "", 0)
}

type complaints struct {
	log *slog.Logger

	mu     sync.Mutex
	next   time.Time
	untold int
}

// Write takes one complaint.
func (c *complaints) Write(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Before(c.next) {
		c.untold++
	} else {
		c.log.Warn(string(bytes.TrimSpace(text)), "untold", c.untold)
		c.next, c.untold = now.Add(complainEvery), 0
	}
	return len(text), nil
}
