package audit

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"time"
)

// logMessage is the message of a line of the log that holds a record, and the
// name of the attribute that is the record.
const logMessage = "audit"

// ToLogger writes the records into the log, whatever its level is. Each call
// begins a new chain. [Verify] reads a log in JSON whose logger has no attributes
// or groups of its own. An error is not lost: it is that of Err, and Append tries
// again.
func ToLogger(logger *slog.Logger, version string) *Log {
	l, _ := open(lines{logger.Handler()}, version) // the error is kept in l
	return l
}

// ToJSON is [ToLogger] for what a slog.JSONHandler writes to. The lines are those
// that it would write, but it would read each record once more to do so. Each line
// is one call of out.Write, which must be safe beside the handler's.
func ToJSON(out io.Writer, version string) *Log {
	l, _ := open(&jsonLines{out: out}, version) // the error is kept in l
	return l
}

// lines is a sink into a log. What stands there cannot be read again, so after an
// error a new chain begins.
type lines struct{ handler slog.Handler }

func (lines) resume() (chain, error) { return newChain(), nil }

func (l lines) write(line []byte) error {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, logMessage, 0)
	r.AddAttrs(slog.Any(logMessage, json.RawMessage(line[:len(line)-1])))
	return l.handler.Handle(context.Background(), r)
}

func (lines) close() error { return nil }

// jsonLines writes the lines of lines itself.
type jsonLines struct {
	lines

	out  io.Writer
	line []byte // kept for its memory
}

func (l *jsonLines) write(record []byte) error {
	l.line = time.Now().AppendFormat(append(l.line[:0], `{"time":"`...), time.RFC3339Nano)
	l.line = append(l.line, `","level":"INFO","msg":"`+logMessage+`","`+logMessage+`":`...)
	l.line = append(append(l.line, record[:len(record)-1]...), "}\n"...)
	_, err := l.out.Write(l.line)
	return err
}
