package limit

import "time"

// bucket is a token bucket (RFC 2697 calls it a token bucket of one rate): it fills at
// rate a second up to burst. Unlike a limiter of
// golang.org/x/time/rate, it takes a part of a token back.
type bucket struct {
	rate, burst float64
	tokens      float64
	at          time.Time // when tokens was right
}

func newBucket(rate, burst float64, now time.Time) bucket {
	return bucket{rate: rate, burst: burst, tokens: burst, at: now}
}

// fill adds what came since the last call.
func (b *bucket) fill(now time.Time) {
	if since := now.Sub(b.at); since > 0 {
		b.tokens, b.at = min(b.tokens+since.Seconds()*b.rate, b.burst), now
	}
}

// spend returns 0 if a token was there, else the time until one is.
func (b *bucket) spend(now time.Time) time.Duration {
	b.fill(now)
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return b.until(1 - b.tokens)
}

// giveBack a part of a token.
func (b *bucket) giveBack(part float64) { b.tokens = min(b.tokens+part, b.burst) }

// until that many tokens have come.
func (b *bucket) until(tokens float64) time.Duration {
	return time.Duration(min(tokens/b.rate, maxWait.Seconds()) * float64(time.Second))
}

// maxWait is the longest wait that a bucket tells, for rates close to zero.
const maxWait = time.Hour
