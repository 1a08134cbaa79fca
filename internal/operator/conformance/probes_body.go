package conformance

import (
	"net/http"
	"strings"

	"skr/api"
)

// tooLarge is as much as skr reads of a body. A body with little more leaves nothing unread, for
// which the sidecar's kernel would reset the connection and discard the answer.
const tooLarge = 256 << 10

// bodyProbes are malformed bodies. Both contracts refuse the first ones; the reference sidecar
// accepts the last ones, and makes a report for each.
func bodyProbes() []probe {
	refusal := refused(api.BadRequest)
	both := func(name, route, body string) probe {
		return probe{
			name: name, method: http.MethodPost, path: route, body: body, verdict: bad, isServed: true,
			reference: status(http.StatusBadRequest), own: refusal,
		}
	}
	own := func(name, body string) probe {
		return probe{name: name, method: http.MethodPost, path: api.RouteRaw, body: body, isServed: true, reportsIfAccepted: 1, own: refusal}
	}
	raw := object("runtime_data", "AAAA")
	unknown := own("unknown-member", object("runtime_data", "AAAA", "runtime_date", "AAAA"))
	empty := own("empty-runtime-data", `{"runtime_data":"\n"}`)
	unknown.verdict, empty.verdict = bad, bad
	return []probe{
		both("no-body", api.RouteRaw, ""),
		both("not-json", api.RouteRaw, "runtime_data=AAAA"),
		both("array", api.RouteRaw, "[]"),
		both("number-for-text", api.RouteRaw, `{"runtime_data":1}`),
		both("base64-space", api.RouteRaw, object("runtime_data", "aGVs bG8=")),
		both("missing-raw", api.RouteRaw, "{}"),
		both("missing-combined", api.RouteCombined, "{}"),
		both("missing-maa", api.RouteMAA, object("runtime_data", "AAAA")),
		both("missing-release", api.RouteRelease, object("kid", noKey)),
		own("text-behind", raw+"{}"),
		own("repeated-member", `{"runtime_data":"AAAA","runtime_data":"BBBB"}`),
		unknown,
		empty,
		own("oversized", raw+strings.Repeat(" ", tooLarge)),
	}
}
