package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
)

// openLog returns the logger and what closes its file.
func openLog(s *settings, stderr io.Writer) (*slog.Logger, func(), error) {
	level, err := logLevel(s.LogLevel)
	if err != nil {
		return nil, nil, &configError{err}
	}
	out, closeFile := stderr, func() {}
	if s.LogFile != "" {
		file, err := os.OpenFile(s.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, &configError{fmt.Errorf("log_file: %w", err)}
		}
		out, closeFile = file, func() { _ = file.Close() } // each line was written at once
	}
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(out, options)), closeFile, nil
	}
	return slog.New(slog.NewJSONHandler(out, options)), closeFile, nil
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
