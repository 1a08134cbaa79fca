package server

import (
	"mime"
	"strconv"
	"strings"
)

// maxQuality is the weight 1 in thousandths, in which RFC 9110 section 12.4.2 counts.
const maxQuality = 1000

// mediaRange is an element of an Accept header without its parameters.
type mediaRange struct {
	media   string // in lower case, such as "application/*"
	quality int    // in thousandths
}

// mediaRanges are the elements of an Accept header.
type mediaRanges []mediaRange

// parseAccept parses an Accept header. It leaves out elements that are no media ranges, and
// those with other parameters than q, because no offer has any. A lone "*", which Java's
// HttpURLConnection sends, means "*/*".
func parseAccept(header string) (all mediaRanges) {
	for element := range strings.SplitSeq(header, ",") {
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
		return maxQuality, true
	}
	if strings.Trim(text, "0123456789.") != "" {
		return 0, false
	}
	weight, err := strconv.ParseFloat(text, 64)
	if err != nil || weight > 1 {
		return 0, false
	}
	return int(weight * maxQuality), true
}

// quality returns the weight of a media type: that of the most specific range that covers it,
// 0 if there is none.
func (m mediaRanges) quality(media string) (quality int) {
	kind, _, _ := strings.Cut(media, "/")
	specific := -1
	for _, r := range m {
		for level, pattern := range []string{"*/*", kind + "/*", media} {
			if r.media == pattern && level > specific {
				quality, specific = r.quality, level
			}
		}
	}
	return quality
}
