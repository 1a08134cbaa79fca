package serving

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

// pipes is a listener that gives a new connection to each Accept.
type pipes struct{ accepted int }

func (p *pipes) Accept() (net.Conn, error) {
	p.accepted++
	ours, _ := net.Pipe()
	return ours, nil
}
func (*pipes) Close() error   { return nil }
func (*pipes) Addr() net.Addr { return nil }

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		socket := &pipes{}
		l := Limit(socket, 2)
		first, _ := l.Accept()
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		accept := make(chan error, 1)
		next := func() { _, err := l.Accept(); accept <- err }
		go next()
		synctest.Wait()
		if socket.accepted != 2 {
			t.Errorf("%d accepted with 2 places", socket.accepted)
		}
		_ = first.Close()
		_ = first.Close() // gives the place back once
		if err := <-accept; err != nil {
			t.Error(err)
		}
		go next()
		synctest.Wait()
		if socket.accepted != 3 {
			t.Errorf("%d accepted after one has left", socket.accepted)
		}
		_ = l.Close()
		if err := <-accept; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accepting ended with %v", err)
		}
	})
}

// A failed Accept keeps no place.
func TestLimitError(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = socket.Close()
	l := Limit(socket, 1)
	for range 3 {
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}
