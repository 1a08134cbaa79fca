package metrics

import (
	"bytes"
	"io"
	"net/http"

	"github.com/prometheus/common/expfmt"
)

var _ http.Handler = (*Metrics)(nil)

// ServeHTTP sends all metrics in the format that the client accepts: the text of Prometheus, or
// OpenMetrics. It buffers the answer, so that an error cannot truncate it.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	var text bytes.Buffer
	if err := m.write(&text, format); err != nil {
		http.Error(w, "the metrics cannot be gathered", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", string(format))
	_, _ = w.Write(text.Bytes()) // the client may have closed the connection
}

func (m *Metrics) write(out io.Writer, format expfmt.Format) error {
	families, err := m.registry.Gather()
	if err != nil {
		return err
	}
	encoder := expfmt.NewEncoder(out, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok { // OpenMetrics ends with a line of its own
		return closer.Close()
	}
	return nil
}
