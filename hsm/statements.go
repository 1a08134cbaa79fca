package hsm

import (
	"errors"
	"sync"
)

// generation is how many statements a KEK is used with before a new KEK should replace it.
// A digest takes about 20 bytes.
const generation = 8 << 10

// Statements remembers the statements that one KEK was used with, so that each is accepted
// once. A vault may omit the nonce. Then an old statement for the same KEK looks like an
// answer to the new request. Two honest statements always differ: the wrapped key begins
// with RSA-OAEP of a key that is made for one statement.
//
// The zero value is empty. Statements is safe for concurrent use and is kept as long as the
// KEK.
type Statements struct {
	mu         sync.Mutex
	young, old map[[16]byte]struct{} // digests, shortened; at most 2*generation each
}

// Full reports whether a new KEK, with empty Statements, should replace this one. If the KEK
// stays in use, Statements forgets the oldest ones.
func (s *Statements) Full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.old != nil || len(s.young) >= generation
}

var errReplayed = errors.New("a statement with the same signed content was accepted before")

// admit returns an error if a statement with that digest was admitted before.
func (s *Statements) admit(digest [32]byte) error {
	if s == nil {
		return nil
	}
	short := [16]byte(digest[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	_, young := s.young[short]
	_, old := s.old[short]
	if young || old {
		return errReplayed
	}
	if len(s.young) >= 2*generation {
		s.young, s.old = nil, s.young
	}
	if s.young == nil {
		s.young = make(map[[16]byte]struct{})
	}
	s.young[short] = struct{}{}
	return nil
}
