// Package accept parses Accept headers (RFC 9110 section 12.5.1).
//
//	ranges := accept.Parse(request.Header["Accept"])
//	if ranges.Quality("text/plain") > ranges.Quality("application/json") { … }
package accept

import (
	"mime"
	"strconv"
	"strings"
)

// MaxQuality is the weight 1 in thousandths, in which RFC 9110 section 12.4.2 counts.
const MaxQuality = 1000

// mediaRange is an element of an Accept header without its parameters.
type mediaRange struct {
	media   string // in lower case, such as "application/*"
	quality int    // in thousandths
}

// Ranges are the elements of an Accept header.
type Ranges []mediaRange

// Parse parses Accept headers. It leaves out elements that are no media ranges, and
// those with other parameters than q, because no offer has any. A lone "*", which Java's
// HttpURLConnection sends, means "*/*".
func Parse(headers []string) (all Ranges) {
	for element := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		media, parameters, err := mime.ParseMediaType(element)
		if err != nil {
			continue
		}
		if media == "*" {
			media = "*/*"
		}
		quality, ok := parseQuality(parameters["q"])
		delete(parameters, "q")
		if ok && len(parameters) == 0 && strings.Count(media, "/") == 1 {
			all = append(all, mediaRange{media, quality})
		}
	}
	return all
}

// parseQuality accepts ".2" beside the forms of RFC 9110, as Java writes it.
func parseQuality(text string) (int, bool) {
	if text == "" {
		return MaxQuality, true
	}
	if strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	weight, err := strconv.ParseFloat(text, 64)
	if err != nil || weight > 1 {
		return 0, false
	}
	return int(weight * MaxQuality), true
}

// Quality returns the weight of a media type in thousandths: that of the most specific range that covers it,
// 0 if there is none.
func (all Ranges) Quality(media string) (quality int) {
	kind, _, _ := strings.Cut(media, "/")
	specific := -1
	for _, r := range all {
		for level, pattern := range []string{"*/*", kind + "/*", media} {
			if r.media == pattern && level > specific {
				quality, specific = r.quality, level
			}
		}
	}
	return quality
}
