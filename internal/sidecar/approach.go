package sidecar

import (
	"context"
	"net/http/httptrace"
	"skr/keyrelease"
)

// approach connects to those that a release is about to ask, one after the other: the
// vault's handshake begins when the authority has what it is asked, and is over when
// it has answered.
func (p *Parts) approach(ctx context.Context, request keyrelease.Request) context.Context {
	o := p.out
	o.Public.Connect(ctx, request.Authority.Host().String())
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { o.Public.Connect(ctx, request.Key.Host().String()) },
	})
}
