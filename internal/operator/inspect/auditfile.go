package inspect

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"skr/internal/strictjson"
)

// maxRecords bounds the records that are shown one by one, the last of the file.
const maxRecords = 100

// auditFile is a file of audit records. `skrctl audit verify` verifies their hashes.
type auditFile struct{ records []strictjson.Object }

func recogniseAuditFile(in input) (content, error) {
	if !bytes.HasPrefix(in.text, []byte(`{"seq":`)) {
		return nil, errOther
	}
	var file auditFile
	for n, line := range bytes.Split(in.text, []byte("\n")) {
		record, err := strictjson.Parse(bytes.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w; see `skrctl audit verify`", n+1, err)
		}
		if _, ok := record.Text("hash"); !ok {
			return nil, errOther
		}
		file.records = append(file.records, record)
	}
	return file, nil
}

func (f auditFile) sections(time.Time) []Section {
	count := func(is func(result string) bool) string {
		n := 0
		for _, record := range f.records {
			if result, found := record.Text("result"); found && is(result) {
				n++
			}
		}
		return strconv.Itoa(n)
	}
	s := Section{Title: "Audit records, not verified"}
	s.add("records", strconv.Itoa(len(f.records)), "`skrctl audit verify` verifies them")
	s.add("released", count(func(result string) bool { return result == "released" }), "")
	s.add("refused", count(func(result string) bool { return result != "released" }), "")
	last, _ := f.records[len(f.records)-1].Text("hash")
	s.add("head", last, "hash of the last record, to be kept elsewhere")
	shown := Section{Title: "Records"}
	for _, record := range f.records[max(0, len(f.records)-maxRecords):] {
		shown.add(member(record, "seq"), member(record, "time")+" "+member(record, "kind"), recordText(record))
	}
	return []Section{s, shown}
}

func member(record strictjson.Object, name string) string {
	value, found := record.Lookup(name)
	if !found {
		return ""
	}
	return textOf(value)
}

// recordText returns a record without its number, time and kind.
func recordText(record strictjson.Object) string {
	var parts []string
	for _, name := range []string{"version", "result", "key", "authority", "caller", "withheld", "torn_bytes"} {
		if text := member(record, name); text != "" {
			parts = append(parts, name+" "+text)
		}
	}
	return strings.Join(slices.Clip(parts), ", ")
}
