package audit

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"time"
)

// logMessage is the message of a log line with a record, and the name of the attribute with the record.
const logMessage = "audit"

// ToLogger writes the records to the log at any level. Each call begins a new chain. [Verify] reads logs
// in JSON if the logger has no attributes or groups. Err returns an error, and Append retries.
func ToLogger(logger *slog.Logger, version string) *Log {
	l, _ := open(lines{logger.Handler()}, version) // the error is kept in l
	return l
}

// ToJSON is like [ToLogger], for the writer of a slog.JSONHandler. The lines are the same, but the
// handler would parse each record again. Each line is one call of out.Write, which must be safe for
// concurrent use with the handler.
func ToJSON(out io.Writer, version string) *Log {
	l, _ := open(&jsonLines{out: out}, version) // the error is kept in l
	return l
}

// lines is a sink to a log. A log cannot be read, so a new chain begins after an error.
type lines struct{ handler slog.Handler }

func (lines) resume() (chain, error) { return newChain(), nil }

func (l lines) write(line []byte) error {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, logMessage, 0)
	r.AddAttrs(slog.Any(logMessage, json.RawMessage(line[:len(line)-1])))
	return l.handler.Handle(context.Background(), r)
}

func (lines) close() error { return nil }

// jsonLines is like lines, but writes the JSON itself.
type jsonLines struct {
	lines

	out  io.Writer
	line []byte // reused
}

func (l *jsonLines) write(record []byte) error {
	l.line = time.Now().AppendFormat(append(l.line[:0], `{"time":"`...), time.RFC3339Nano)
	l.line = append(l.line, `","level":"INFO","msg":"`+logMessage+`","`+logMessage+`":`...)
	l.line = append(append(l.line, record[:len(record)-1]...), "}\n"...)
	_, err := l.out.Write(l.line)
	return err
}
