package vcek

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"skr/attest/snp"
)

// identity is the key of a chain in the cache. It includes the signing key, because the
// same chip and TCB may also have a VLEK.
type identity struct {
	chip   snp.ChipID
	tcb    uint64
	signer snp.SigningKey
}

func identify(report *snp.Report) identity {
	return identity{report.ChipID(), report.ReportedTCB().Raw(), report.SigningKey()}
}

func (i identity) String() string { return fmt.Sprintf("%s/%016x/%d", i.chip, i.tcb, uint8(i.signer)) }

// maxCached is enough for a machine, which has one chip and few TCBs in its lifetime.
const maxCached = 16

// cache keeps the most recently used chains. Its zero value is empty.
type cache struct {
	mu      sync.Mutex
	entries []entry // at most maxCached, with distinct identities, the most recently used last
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

// newest returns the most recently used entry, or the zero entry if the cache is empty.
func (c *cache) newest() entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) == 0 {
		return entry{}
	}
	return c.entries[len(c.entries)-1]
}

// remove removes and returns an entry, or the zero entry if there is none for id.
func (c *cache) remove(id identity) entry {
	at := slices.IndexFunc(c.entries, func(e entry) bool { return e.id == id })
	if at < 0 {
		return entry{}
	}
	found := c.entries[at]
	c.entries = slices.Delete(c.entries, at, at+1)
	return found
}
