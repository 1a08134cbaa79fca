package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// route is a method and what it answers: a body of JSON, or an error.
type route struct {
	method string
	answer func(ctx context.Context, body []byte) ([]byte, error)
}

// post makes the answer of a function from request to response.
func post[Req, Resp any](ask func(context.Context, Req) (Resp, error)) func(context.Context, []byte) ([]byte, error) {
	members := memberNames[Req]()
	return func(ctx context.Context, body []byte) ([]byte, error) {
		var request Req
		defer func() { wipe(request) }()
		if err := decode(body, members, &request); err != nil {
			return nil, err
		}
		response, err := ask(ctx, request)
		if err != nil {
			return nil, err
		}
		defer wipe(response)
		return encode(response)
	}
}

// get makes the answer of a function without a request.
func get[Resp any](ask func() Resp) func(context.Context, []byte) ([]byte, error) {
	return func(context.Context, []byte) ([]byte, error) { return encode(ask()) }
}

// wipe overwrites the secrets of a request or response that has some.
func wipe(message any) {
	if secret, ok := message.(interface{ Wipe() }); ok {
		secret.Wipe()
	}
}

// encode makes the whole body, which the caller wipes. A response that appends
// itself does so to keep its secret out of encoding/json's buffers.
func encode(response any) ([]byte, error) {
	if secret, ok := response.(interface{ AppendJSON([]byte) []byte }); ok {
		body := secret.AppendJSON(nil)
		if !json.Valid(body) {
			clear(body)
			return nil, errors.New("server: the answer is not valid JSON")
		}
		return body, nil
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // nothing here is shown as HTML: the type is JSON, nosniff
	if err := encoder.Encode(response); err != nil {
		return nil, fmt.Errorf("server: encoding the answer: %w", err)
	}
	return body.Bytes(), nil
}
