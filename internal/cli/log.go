package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"skr/internal/config"
	"skr/internal/observe/audit"
)

// Log is the log of the process, and its audit records.
type Log struct {
	*slog.Logger

	Audit func(version string) *audit.Log // records as lines of this log
	Close func()
}

// OpenLog opens the log of the settings. If the file cannot be opened, the log goes to stderr.
func OpenLog(s *config.Settings, stderr io.Writer) (*Log, error) {
	level, err := logLevel(s.LogLevel)
	if err != nil {
		return nil, config.WrongSetting(err)
	}
	out, err := openLogFile(s.LogFile, stderr)
	log := newLog(s.LogFormat, level, out)
	if err != nil {
		log.Warn("the log goes to standard error: log_file cannot be written", "error", err.Error())
	}
	return log, nil
}

func newLog(format string, level slog.Level, out *logFile) *Log {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" {
		log := slog.New(slog.NewTextHandler(out, options))
		return &Log{log, func(version string) *audit.Log { return audit.ToLogger(log, version) }, out.close}
	}
	whole := &wholeLines{out: out}
	log := slog.New(slog.NewJSONHandler(whole, options))
	return &Log{log, func(version string) *audit.Log { return audit.ToJSON(whole, version) }, out.close}
}

// wholeLines lets two writers share one output without mixing their lines.
type wholeLines struct {
	mu  sync.Mutex
	out io.Writer
}

func (w *wholeLines) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(line)
}

func logLevel(word string) (slog.Level, error) {
	given := word
	word = strings.ToLower(word)
	if ours, found := config.DropInLevels[word]; found {
		word = ours
	}
	switch word {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log_level: %q is none of trace, debug, info, warn, warning, error, fatal, panic", given)
}
