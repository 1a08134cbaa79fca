package hsm

import (
	"errors"
	"sync"
)

// generation is how many statements a KEK serves before it is time for another one. A
// digest takes some 20 bytes.
const generation = 8 << 10

// Statements remembers the statements that one KEK was used with, so that each is taken
// once. A vault may leave out the nonce; then an old statement for the same KEK looks
// like an answer to the new question. Two honest statements always differ: the wrapped
// key begins with RSA-OAEP of a key made for this statement alone.
//
// Its zero value remembers nothing yet. It is safe for concurrent use, and is kept as
// long as the KEK.
type Statements struct {
	mu         sync.Mutex
	young, old map[[16]byte]struct{} // digests, shortened; at most 2*generation each
}

// Full reports whether the KEK should give way to a new one, which begins with an empty
// memory. One that stays in use has the oldest statements forgotten.
func (s *Statements) Full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.old != nil || len(s.young) >= generation
}

var errReplayed = errors.New("a statement with the same signed content was taken before")

// admit a statement, by its digest, once.
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
