package vault

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxPage is the maximum and the default page size of a list (Azure REST API
// specification, maxresults).
const maxPage = 25

func (v *Vault) listKeys(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var items []listed
	for _, name := range slices.Sorted(maps.Keys(v.keys)) {
		k := v.keys[name]
		if !v.settled(k.changedAt) {
			continue
		}
		items = append(items, listed{name, v.item(object{}, v.url("keys/"+k.name), k.current())})
	}
	return v.page(c, "keys", items)
}

func (v *Vault) listVersions(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, _, err := v.find(c.name, "")
	if err != nil { // a missing key has no versions (tests of the Azure SDK for JavaScript)
		return v.page(c, "keys/"+c.name+"/versions", nil)
	}
	var items []listed
	for _, ver := range k.versions {
		items = append(items, listed{ver.id, v.item(object{}, v.kidOf(k, ver), ver)})
	}
	slices.SortFunc(items, func(a, b listed) int { return strings.Compare(a.marker, b.marker) })
	return v.page(c, "keys/"+k.name+"/versions", items)
}

func (v *Vault) listDeleted(c *call) (answer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.purgeExpired()
	var items []listed
	for _, name := range slices.Sorted(maps.Keys(v.deleted)) {
		if k := v.deleted[name]; v.settled(k.changedAt) {
			items = append(items, listed{name, v.item(v.deletion(k), v.url("keys/"+k.name), k.current())})
		}
	}
	return v.page(c, "deletedkeys", items)
}

// listed is an item with its sort key.
type listed struct {
	marker string
	item   object
}

func (v *Vault) item(o object, kid string, ver *version) object {
	return ver.withTags(o.with("kid", kid).with("attributes", v.attributes(ver)))
}

// page returns the items after the request's marker.
func (v *Vault) page(c *call, path string, items []listed) (answer, error) {
	size, err := pageSize(c.query.Get("maxresults"))
	if err != nil {
		return answer{}, err
	}
	marker, err := parseSkipToken(c.query.Get("$skiptoken"))
	if err != nil {
		return answer{}, err
	}
	from, _ := slices.BinarySearchFunc(items, marker, func(l listed, m string) int { return strings.Compare(l.marker, m) })
	items = items[from:]
	value := []object{}
	for _, l := range items[:min(size, len(items))] {
		value = append(value, l.item)
	}
	body := object{{"value", value}}
	switch {
	case len(items) > size:
		body = body.with("nextLink", v.nextLink(c, path, items[size].marker))
	case !v.managedHSM():
		body = body.with("nextLink", nil)
	}
	return ok(body)
}

// pageSize parses maxresults. The text of the fault is UNCONFIRMED.
func pageSize(text string) (int, error) {
	if text == "" {
		return maxPage, nil
	}
	size, err := strconv.Atoi(text)
	if err != nil || size < 1 || size > maxPage {
		return 0, badParameter("maxresults must be between 1 and %d", maxPage)
	}
	return size, nil
}

// nextLink returns a link as in the recordings: a vault includes the port and
// the api-version, a Managed HSM neither.
func (v *Vault) nextLink(c *call, path, marker string) string {
	token := "$skiptoken=" + skipToken(marker)
	if size := c.query.Get("maxresults"); size != "" {
		token += "&maxresults=" + size
	}
	if v.managedHSM() {
		return v.url(path + "?" + token)
	}
	host := v.config.Host
	if !strings.Contains(host, ":") {
		host += ":443"
	}
	return fmt.Sprintf("https://%s/%s?api-version=%s&%s", host, path, c.apiVersion, token)
}

// pageMarker is the content of a vault's skip token.
type pageMarker struct {
	NextMarker     string
	TargetLocation int
}

func skipToken(marker string) string {
	return encode64(plainJSON(pageMarker{NextMarker: marker}))
}

func parseSkipToken(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	var m pageMarker
	data, err := decode64(text)
	if err != nil || json.Unmarshal(data, &m) != nil {
		return "", badParameter("The skip token is invalid.") // UNCONFIRMED
	}
	return m.NextMarker, nil
}
