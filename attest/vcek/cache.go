package vcek

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"skr/attest/snp"
)

// identity is what a chain is found by: with the signing key, as the same chip
// and TCB may also have a VLEK.
type identity struct {
	chip   snp.ChipID
	tcb    uint64
	signer snp.SigningKey
}

func identify(report *snp.Report) identity {
	return identity{report.ChipID(), report.ReportedTCB().Raw(), report.SigningKey()}
}

func (i identity) String() string { return fmt.Sprintf("%s/%016x/%d", i.chip, i.tcb, uint8(i.signer)) }

// maxCached suffices: one machine has one chip, and few TCBs in a lifetime.
const maxCached = 16

// cache keeps the chains that were used last. Its zero value is empty.
type cache struct {
	mu      sync.Mutex
	entries []entry // at most maxCached, no identity twice, the one used last at the end
}

type entry struct {
	id      identity
	chain   *Chain
	fetched time.Time
}

func (c *cache) get(id identity) *Chain {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.remove(id)
	if found.chain != nil {
		c.entries = append(c.entries, found)
	}
	return found.chain
}

func (c *cache) put(id identity, chain *Chain, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(id)
	if len(c.entries) == maxCached {
		c.entries = slices.Delete(c.entries, 0, 1)
	}
	c.entries = append(c.entries, entry{id, chain, now})
}

// newest is the entry that was used last, the zero one if there is none.
func (c *cache) newest() entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) == 0 {
		return entry{}
	}
	return c.entries[len(c.entries)-1]
}

// remove takes out and returns an entry, the zero one if there is none.
func (c *cache) remove(id identity) entry {
	at := slices.IndexFunc(c.entries, func(e entry) bool { return e.id == id })
	if at < 0 {
		return entry{}
	}
	found := c.entries[at]
	c.entries = slices.Delete(c.entries, at, at+1)
	return found
}
