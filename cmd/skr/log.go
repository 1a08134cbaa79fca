package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"skr/internal/audit"
)

// processLog is where the process tells what it does, and its audit records.
type processLog struct {
	*slog.Logger

	audit func(version string) *audit.Log // records as lines of this log
	close func()
}

func openLog(s *settings, stderr io.Writer) (*processLog, error) {
	level, err := logLevel(s.LogLevel)
	if err != nil {
		return nil, &configError{err}
	}
	out, closeFile := stderr, func() {}
	if s.LogFile != "" {
		file, err := os.OpenFile(s.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, &configError{fmt.Errorf("log_file: %w", err)}
		}
		out, closeFile = file, func() { _ = file.Close() } // each line was written at once
	}
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "text" {
		log := slog.New(slog.NewTextHandler(out, options))
		return &processLog{log, func(version string) *audit.Log { return audit.ToLogger(log, version) }, closeFile}, nil
	}
	whole := &wholeLines{out: out}
	log := slog.New(slog.NewJSONHandler(whole, options))
	return &processLog{log, func(version string) *audit.Log { return audit.ToJSON(whole, version) }, closeFile}, nil
}

// wholeLines keeps the lines of two that write to one place apart.
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
	if ours, found := dropInLevels[word]; found {
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
	return 0, fmt.Errorf("log_level: %q is none of debug, info, warn, error", word)
}
