package fleet

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Service is an authority or a vault. It serves a limited number of requests in each window
// of time, and refuses the rest with 429 until the window ends. Refused requests do not count
// towards the limit, as in Azure Key Vault ("Azure Key Vault throttling guidance").
type Service struct {
	// Limit is how many requests it serves in a Window.
	Limit  int
	Window time.Duration
	// Latency is the time of an answer; a refusal takes a tenth of it.
	Latency time.Duration
	// Dies is when the service dies; zero means never.
	Dies time.Time
	// Silent makes the dead service accept requests and never answer; otherwise it
	// refuses connections.
	Silent bool

	began  time.Time
	window int64
	served int   // in the window
	Asked  int   // all requests
	Rate   []int // requests in each second
}

// ask handles one request at the time now. It returns how long the client must wait before it
// retries, or zero if the request is served.
func (s *Service) ask(now time.Time) (after time.Duration) {
	second := int(now.Sub(s.began) / time.Second)
	for len(s.Rate) <= second {
		s.Rate = append(s.Rate, 0)
	}
	s.Rate[second]++
	s.Asked++
	if window := now.UnixNano() / int64(s.Window); window != s.window {
		s.window, s.served = window, 0
	}
	if s.served < s.Limit {
		s.served++
		return 0
	}
	return time.Unix(0, (s.window+1)*int64(s.Window)).Sub(now)
}

func (s *Service) dead(now time.Time) bool { return !s.Dies.IsZero() && !now.Before(s.Dies) }

// network carries requests to the services by host name.
type network struct {
	services map[string]*Service // by host

	mu sync.Mutex // guards the services
}

func newNetwork(services map[string]*Service) *network {
	n := &network{services: services}
	for _, s := range services {
		s.began = time.Now()
	}
	return n
}

// RoundTrip answers as the service would.
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	service, now := n.services[r.URL.Host], time.Now()
	if service.dead(now) {
		if service.Silent {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return nil, syscall.ECONNREFUSED
	}
	if after := n.ask(service, now); after > 0 {
		time.Sleep(service.Latency / 10)
		return answer(http.StatusTooManyRequests, http.Header{"Retry-After": {seconds(after)}}), nil
	}
	time.Sleep(service.Latency)
	return answer(http.StatusOK, http.Header{}), nil
}

func (n *network) ask(service *Service, now time.Time) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return service.ask(now)
}

func answer(status int, header http.Header) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("{}"))}
}

// seconds rounds up: a client that retries early is refused again.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
