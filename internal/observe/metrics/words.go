package metrics

import "skr/internal/observe/journal"

// other replaces values that are not on a list.
const other = "other"

// words is the set of values of a label.
type words map[string]struct{}

func list(values ...string) words {
	w := make(words, len(values))
	for _, value := range values {
		w[value] = struct{}{}
	}
	return w
}

// or returns value if it is on the list, else the stand-in.
func (w words) or(value, standIn string) string {
	if _, found := w[value]; found {
		return value
	}
	return standIn
}

var (
	stages = list(string(journal.Admit), string(journal.Receive), string(journal.Report), string(journal.Endorse),
		string(journal.Appraise), string(journal.Identity), string(journal.Release), string(journal.Unwrap), string(journal.Operate),
		string(journal.Answer))
	operations  = list("encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify")
	caches      = list(string(journal.Certificates), string(journal.Attestation), string(journal.Key))
	results     = list("released", "refused", "failed")
	outcomes    = list("1xx", "2xx", "3xx", "4xx", "5xx", "unreachable")
	updates     = list("written", "failed", "notify_failed")
	protections = list("memfd_secret", "mlock", "none")
)
