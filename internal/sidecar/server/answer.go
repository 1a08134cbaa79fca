package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"skr/internal/secmem"
)

// route is a method and the function that answers it: with a body of JSON, or an error.
type route struct {
	method string
	answer func(ctx context.Context, request []byte) (body, error)
	// open marks a route that needs no permission, because its answers are not secret.
	open bool
	// watch answers a request that waits, in place of answer. It gives its place back by leave
	// before it waits.
	watch func(w http.ResponseWriter, r *http.Request, x *exchange, leave func()) (body, error)
	// key marks the route that gives out keys: callers may choose the form, and use GET with a
	// query in place of a body.
	key bool
}

// allow lists the methods in the form of the Allow header.
func (r route) allow() string {
	if r.key {
		return http.MethodGet + ", " + r.method
	}
	return r.method
}

// allows reports whether the route has the method.
func (r route) allows(method string) bool {
	return method == r.method || r.key && method == http.MethodGet
}

// body is a result: a secret in protected memory, or bytes. It is wiped after it was sent.
type body struct {
	status int    // 0 means 200
	key    string // identifier of a released key, for the header and the log; or ""
	media  string // media type; "" means JSON
	secret *secmem.Buffer
	plain  []byte
}

func (b body) wipe() {
	b.secret.Wipe()
	clear(b.plain)
}

// use calls f with the bytes.
func (b body) use(f func([]byte)) {
	if b.secret == nil {
		f(b.plain)
		return
	}
	_ = b.secret.Use(func(text []byte) error { f(text); return nil }) // only this request wipes it
}

// post returns the answer function for a function from request to response.
func post[Req, Resp any](ask func(context.Context, Req) (Resp, error)) func(context.Context, []byte) (body, error) {
	return postBody(func(ctx context.Context, request Req) (body, error) {
		response, err := ask(ctx, request)
		if err != nil {
			return body{}, err
		}
		defer wipe(response)
		return encode(response)
	})
}

// postBody returns the answer function for a function from request to body.
func postBody[Req any](ask func(context.Context, Req) (body, error)) func(context.Context, []byte) (body, error) {
	known := membersOf(reflect.TypeFor[Req]())
	return func(ctx context.Context, text []byte) (body, error) {
		var request Req
		defer func() { wipe(request) }()
		if err := decode(text, known, &request); err != nil {
			return body{}, err
		}
		return ask(ctx, request)
	}
}

// get returns the answer function for a function without a request.
func get[Resp any](ask func() Resp) func(context.Context, []byte) (body, error) {
	return func(context.Context, []byte) (body, error) { return encode(ask()) }
}

// wipe overwrites the secrets of a request or response.
func wipe(message any) {
	if secret, ok := message.(interface{ Wipe() }); ok {
		secret.Wipe()
	}
}

// encode encodes the whole body.
func encode(response any) (body, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // nothing here is shown as HTML: the type is JSON, nosniff
	if err := encoder.Encode(response); err != nil {
		return body{}, fmt.Errorf("encoding the answer: %w", err)
	}
	return body{plain: text.Bytes()}, nil
}
