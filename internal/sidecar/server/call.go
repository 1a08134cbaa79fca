package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"skr/internal/observe/journal"
	"skr/internal/refusal"
)

// call is one call of gRPC, as the handler for HTTP/2 and the interceptor share it.
type call struct {
	exchange *exchange
	deadline time.Time
	notes    *journal.Journal
	refusal  error // the error of admission or of reading the message
	err      error // the error of the call; valid after wait

	mu    sync.Mutex
	begun bool
	left  bool          // the handler has left before the work began
	done  chan struct{} // closed when work that has begun is done
}

// callKey is under which a context has the [call]. The handler for HTTP/2 and a method
// meet only in the context that grpc.Server passes on.
type callKey struct{}

// noteKey keeps the identifier of a released key for the header and the log.
func noteKey(ctx context.Context, id string) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.exchange.key = id
	}
}

func (c *call) refused(err error) *call {
	c.refusal = err
	return c
}

// errUnread means that grpc.Server could not parse what followed the header.
var errUnread = refusal.Newf(refusal.BadRequest, "the call is not one message of this method")

// answerCall is the interceptor: it answers an admitted call, or returns the refusal.
func answerCall(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	work := func(ctx context.Context) (any, error) {
		return guarded(func() (any, error) { return handler(ctx, request) })
	}
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil { // a method without a permission
		return work(ctx)
	}
	if !c.begin() {
		return nil, statusOf(classify(errGone), c.exchange.id)
	}
	defer close(c.done)
	return c.answer(ctx, work)
}

func (c *call) answer(ctx context.Context, work func(context.Context) (any, error)) (response any, err error) {
	ctx, cancel := context.WithDeadline(ctx, c.deadline)
	defer cancel()
	if err = c.refusal; err == nil {
		response, err = work(ctx)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		err = gone(err)
	}
	c.err = err
	header := metadata.Join(metadata.Pairs("x-request-id", c.exchange.id), originOf(c.exchange, c.notes.Notes()))
	_ = grpc.SetHeader(ctx, header) // fails if the caller is gone
	switch {
	case isTooLarge(err): // as grpc.Server says it
		return nil, tooLarge(classify(err))
	case err != nil:
		return nil, statusOf(classify(err), c.exchange.id)
	}
	return response, nil
}

func (c *call) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = !c.left
	return c.begun
}

// wait waits for work that has begun. No work begins afterwards. ctx is the caller's.
func (c *call) wait(ctx context.Context) {
	c.mu.Lock()
	c.left = true
	begun := c.begun
	c.mu.Unlock()
	switch {
	case begun:
		<-c.done
	case ctx.Err() != nil:
		c.err = errGone
	case c.refusal != nil: // grpc.Server did not call the interceptor
		c.err = c.refusal
	default:
		c.err = errUnread
	}
}
