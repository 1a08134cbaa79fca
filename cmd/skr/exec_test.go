package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"skr/hsm"
	"skr/internal/sidecar/follow"
)

// News of one alias may arrive before another is asked for the first time. Its key stays.
func TestRenewBeforeFirstRelease(t *testing.T) {
	newKey := func() *hsm.Key {
		key, err := hsm.ReadKey([]byte(`{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA"}`))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	held := []string{"early", "late"}
	f := follow.New(follow.Config{
		Aliases: held, Held: held, Every: time.Hour,
		Release: func(ctx context.Context, alias string) (*hsm.Key, error) {
			if alias == "early" {
				return newKey(), nil
			}
			<-ctx.Done()
			return nil, fmt.Errorf("waiting: %w", ctx.Err())
		},
	})
	news := f.Subscribe(held)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Run(ctx) }()
	<-news
	late := newKey()
	keys := &execKeys{newest: map[string]*hsm.Key{"early": newKey(), "late": late}}
	if keys.renew(f) {
		t.Error("there is a change, and no key has another version")
	}
	if keys.newest["late"] != late {
		t.Error("the key that was not asked for again is lost")
	}
	stop()
	<-ended
}
