package conformance

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// hosts matches names of Azure's hosts, of the emulator's, of tenants, and of hosts on the way, such as
// proxies, which errors of connections name.
var hosts = regexp.MustCompile(`(?i)\b[a-z0-9][a-z0-9.-]*\.` +
	`(azure|azurewebsites|windows|microsoftonline|onmicrosoft|localhost|usgovcloudapi|chinacloudapi|` +
	`com|net|org|io|cloud|corp|lan|local|internal|intranet)\b[a-z0-9.:-]*`)

// What is removed from texts of answers, in this order. What remains are the words of the service.
var redactions = []struct {
	looksLike *regexp.Regexp
	instead   string
}{
	{regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){0,4}`), "<token>"},
	{regexp.MustCompile(`(?i)/?subscriptions/[^\s"',;)]*`), "<resource>"},
	{regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "<guid>"},
	{regexp.MustCompile(`[^\s"'<>(),;:]+@[^\s"'<>(),;:]+`), "<address>"}, // guests are user_home.example#EXT#@tenant
	{regexp.MustCompile(`(?i)((/home|/users|\\users)[/\\]|/root\b)[^\s"',;:)]*`), "<path>"},
	{regexp.MustCompile(`(?i)\b((?:account|application|directory|group|organization|provider|tenant|user)s?:? )('[^']*'|"[^"]*")`), "${1}<name>"},
	{regexp.MustCompile(`\b\d{1,3}(\.\d{1,3}){3}\b`), "<ip>"},
	{regexp.MustCompile(`(?i)\b[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:]+\b`), "<ip>"},
	{hosts, "<host>"},
	{regexp.MustCompile(`(?i)(vault: |key vault ')[a-z0-9-]+`), "${1}<name>"},
	{regexp.MustCompile(`(?i)\b[0-9a-f]{16,}\b`), "<hex>"},
}

var webAddress = regexp.MustCompile(`(?i)https?://[^\s"',;)]*`)

// publicHosts are hosts that all customers of Azure have in common, by the names that stand for them
// while the other hosts are removed.
var publicHosts = []string{
	"login.microsoftonline.com", "login.windows.net", "sts.windows.net", "vault.azure.net", "managedhsm.azure.net", "attest.azure.net",
	"go.microsoft.com", "aka.ms",
}

// scheme hides an address that stays from the redactions.
const scheme = "\x00"

// redactURL keeps the host of an address that all customers have in common.
func redactURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || !slices.Contains(publicHosts, u.Host) {
		return "<url>"
	}
	kept := scheme + strings.ReplaceAll(u.Host, ".", scheme)
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		kept += "/…"
	}
	return kept
}

// maxText limits a text in the report.
const maxText = 400

// maxRead limits how much of a text is looked at.
const maxRead = 16 * maxText

// begin returns the beginning of a long text, without the word at its end: half an identifier does not
// look like one.
func begin(text string) string {
	if len(text) <= maxRead {
		return text
	}
	end := strings.LastIndexAny(text[:maxRead], " \r\n\t")
	return text[:max(end, 0)] + " …"
}

// longRun matches words that are no words.
var longRun = regexp.MustCompile(`[A-Za-z0-9+/_=-]{24,}`)

// redact removes from a text what names or identifies anything, and keeps the words. A terminal shows
// the text, so what is not printable becomes a space.
func redact(text string) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, begin(text))
	text = webAddress.ReplaceAllStringFunc(text, redactURL)
	for _, r := range redactions {
		text = r.looksLike.ReplaceAllString(text, r.instead)
	}
	text = restoreURLs(text)
	text = longRun.ReplaceAllStringFunc(text, func(word string) string {
		if known(word) {
			return word
		}
		return "<text>"
	})
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// restoreURLs undoes what redactURL did to hide the addresses that stay.
func restoreURLs(text string) string {
	for _, host := range publicHosts {
		text = strings.ReplaceAll(text, scheme+strings.ReplaceAll(host, ".", scheme), "https://"+host)
	}
	return strings.ReplaceAll(text, scheme, "")
}

// wordLike matches long names of members, claims and codes: words of letters and small numbers.
var wordLike = regexp.MustCompile(`^[A-Za-z]+([-_][A-Za-z]+[0-9]{0,3})*$`)

// known reports whether a long word consists of words as in x-ms-sevsnpvm-launchmeasurement or
// PolicyEvaluationError, and not of random letters.
func known(word string) bool {
	if !wordLike.MatchString(word) || len(word) > 64 {
		return false
	}
	changes := 0 // between upper and lower case, of which random letters have many
	for i := 1; i < len(word); i++ {
		if isUpper(word[i-1]) != isUpper(word[i]) {
			changes++
		}
	}
	return changes <= len(word)/4
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// shownHeaders are the headers whose values the report has.
var shownHeaders = []string{
	"Allow", "Cache-Control", "Content-Security-Policy", "Content-Type", "Expires", "Pragma", "Retry-After", "Server",
	"Strict-Transport-Security", "Www-Authenticate", "X-Content-Type-Options", "X-Frame-Options", "X-Ms-Build-Version",
	"X-Ms-Error-Code", "X-Ms-Keyvault-Region", "X-Ms-Keyvault-Service-Version", "X-Ms-Maa-Service-Version",
}

// plainVersion matches the versions of services, which look like addresses.
var plainVersion = regexp.MustCompile(`^[0-9.]{1,30}$`)

// headerName matches names of headers, which are words of the service.
var headerName = regexp.MustCompile(`^[A-Z][A-Za-z0-9-]{0,63}$`)

// shown returns the headers of an answer: the values of some, and the names of all.
func shown(h http.Header) map[string]string {
	all := make(map[string]string, len(h))
	for name, values := range h {
		value := strings.Join(values, ", ")
		switch {
		case !headerName.MatchString(name):
			all["<name>"] = "…"
		case !slices.Contains(shownHeaders, name):
			all[name] = "…"
		case strings.HasSuffix(name, "-Version") && plainVersion.MatchString(value):
			all[name] = value
		default:
			all[name] = redact(value)
		}
	}
	return all
}
