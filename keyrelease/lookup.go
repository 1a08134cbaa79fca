package keyrelease

import "time"

// Cache is something that a Releaser keeps between requests.
type Cache string

// The caches of a Releaser.
const (
	AttestationCache Cache = "attestation" // the attested KEK of an authority
	KeyCache         Cache = "key"         // released keys, for Config.KeyTTL
)

// Lookup is the result of looking something up in a cache.
type Lookup struct {
	Cache Cache
	Hit   bool
	// Stale marks a hit that is older than its time and is served because of an outage.
	Stale bool
	// Age is the time since a key was released; 0 for other lookups.
	Age time.Duration
}
