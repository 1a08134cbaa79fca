package sidecar

import (
	"context"
	"crypto/rsa"
	"encoding/base64"

	"skr/api"
	"skr/examples/kafka/board"
	"skr/examples/kafka/message"
)

// Batch is the most messages that one request decrypts.
const Batch = 100

// find returns the key of the alias, without its private part.
func (a Asker) find(ctx context.Context) (message.Key, error) {
	kept, err := a.Client.KeptVersion(ctx, a.Alias, a.Request.Version)
	if err != nil {
		return message.Key{}, err
	}
	public, isRSA := kept.Public().(*rsa.PublicKey)
	if !isRSA {
		return message.Key{}, message.ErrNotPrivate
	}
	a.Log.Info("the sidecar decrypts with the key", "alias", a.Alias, "version", kept.Version())
	return message.Key{Name: a.Alias, Version: kept.Version(), Size: public.Size()}, nil
}

// Open has the sidecar decrypt messages, at most Batch, and asks until it has or ctx ends. The
// key never leaves the sidecar.
func (a Asker) Open(ctx context.Context, key message.Key, sealed []board.Sealed) (opened []board.Opened, err error) {
	request := api.OperationRequest{Alias: a.Alias, Version: key.Version, Alg: "RSA-OAEP-256"}
	var asked []board.Sealed
	for _, one := range sealed {
		raw, err := message.Parse(one.Text, key.Size)
		if err != nil {
			opened = append(opened, board.Opened{ID: one.ID, Problem: err})
			continue
		}
		asked = append(asked, one)
		request.Batch = append(request.Batch, api.OperationInput{Value: base64.RawURLEncoding.AppendEncode(nil, raw)})
	}
	if len(asked) == 0 {
		return opened, nil
	}
	var answer api.OperationResponse
	err = a.until(ctx, func(ctx context.Context) (err error) {
		answer, err = a.Client.Operate(ctx, api.RouteDecrypt, request)
		return err
	})
	for i, result := range answer.Results {
		opened = append(opened, openedFrom(asked[i].ID, result))
	}
	return opened, err
}

// openedFrom returns the text of a result, or its error.
func openedFrom(id string, result api.OperationResult) board.Opened {
	plain, err := result.Bytes()
	defer clear(plain)
	if result.Error != "" || err != nil {
		return board.Opened{ID: id, Problem: message.ErrOtherKey}
	}
	return board.Opened{ID: id, Text: message.Text(plain)}
}
