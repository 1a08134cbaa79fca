package splice

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// overlay is merged into each document of the table.
const overlay = "labels:\n  b: '2'\nlist:\n- {name: y, z: 1}\nkind: X\n"

func parsed(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Parse(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return d
}

// Additions have the style of the place where they stand, and Remove restores the text.
func TestAdd(t *testing.T) {
	var want yaml.Node
	if err := yaml.Unmarshal([]byte(overlay), &want); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, before, after string }{
		{"new members, before the first", "a: 1\n", "labels:\n  b: '2'\nlist:\n  - {name: y, z: 1}\nkind: X\na: 1\n"},
		{"comments stay where they are", "# c\n\n# d\na: 1 # e\n", "# c\n\nlabels:\n  b: '2'\nlist:\n  - {name: y, z: 1}\nkind: X\n# d\na: 1 # e\n"},
		{"block members and items",
			"kind: X\nlabels:\n    a: 1\nlist:\n - name: x\n",
			"kind: X\nlabels:\n    b: '2'\n    a: 1\nlist:\n - {name: y, z: 1}\n - name: x\n"},
		{"flow", "{kind: X, labels: {a: 1}, list: [ {name: x} ]}", `{kind: X, labels: {"b": "2", a: 1}, list: [ {"name": "y", "z": 1}, {name: x} ]}`},
		{"values that are left out", "kind: X\nlabels: # none\nlist:\n", "kind: X\nlabels: # none\n  b: '2'\nlist:\n  - {name: y, z: 1}\n"},
		{"a comment below", "kind: X\nlabels:\n      # later\nlist: []\n", "kind: X\nlabels:\n  b: '2'\n      # later\nlist: [{\"name\": \"y\", \"z\": 1}]\n"},
		{"empty ones", "{kind: X, labels: { }, list: []}", `{kind: X, labels: {"b": "2" }, list: [{"name": "y", "z": 1}]}`},
		{"CR LF", "kind: X\r\nlist: []\r\nlabels:\r\n  a: 1\r\n", "kind: X\r\nlist: [{\"name\": \"y\", \"z\": 1}]\r\nlabels:\r\n  b: '2'\r\n  a: 1\r\n"},
		{"no spaces", `{"kind":"X","labels":{"a":"1"},"list":[]}`, `{"kind":"X","labels":{"b":"2","a":"1"},"list":[{"name":"y","z":1}]}`},
		{"other line ends", "kind: \"\u2028X\"\nlabels: {}\nlist: []\n", ""},
		{"wide characters", "{\"ä\U0001f511\": \"ö\", \"labels\": {\"é\": \"\"}, \"kind\": \"X\", \"list\": []}",
			`{"ä` + "\U0001f511" + `": "ö", "labels": {"b": "2", "é": ""}, "kind": "X", "list": [{"name": "y", "z": 1}]}`},
	} {
		d := parsed(t, c.before)
		paths, err := d.Add(d.Root(), Overlay{Value: want.Content[0]})
		if c.after == "" {
			if err == nil {
				t.Errorf("%s: accepted", c.name)
			}
			continue
		}
		after := d.Text()
		if err != nil || after != c.after {
			t.Errorf("%s: %v\n%q, want\n%q", c.name, err, after, c.after)
			continue
		}
		r := parsed(t, after)
		if err := r.Remove(r.Root(), paths); err != nil || r.Text() != c.before {
			t.Errorf("%s: removing gives %v\n%q, want\n%q", c.name, err, r.Text(), c.before)
		}
	}
}

// Remove finds where values end that other programs wrote.
func TestRemove(t *testing.T) {
	for _, c := range []struct{ before, path, after string }{
		{"{a: 1, b: 2 , c: 3}", "/c", "{a: 1, b: 2}"},
		{"{a: 1, b: 2 , c: 3}", "/b", "{a: 1, c: 3}"},
		{`{a: 'it''s', b: "\"}" }`, "/b", `{a: 'it''s' }`},
		{"{a: [ {x: [1, 2] # ]\n } ], b: 3}", "/b", "{a: [ {x: [1, 2] # ]\n } ]}"},
		{"a: 1\nb: |\n  x\n\n  # no comment\n\n# c\nd: 1\n", "/b", "a: 1\n\n# c\nd: 1\n"},
		{"a: b\n  c\nd: [1,\n  2]\ne: 1\n", "/a", "d: [1,\n  2]\ne: 1\n"},
		{"a: b\n  c\nd: [1,\n  2]\ne: 1\n", "/d", "a: b\n  c\ne: 1\n"},
		{"a:\n- name: x\n  b: \"c\n    d\"\n- name: y\n", "/a/x", "a:\n- name: y\n"},
		{"a:\n- name: y\n- name: x\n# end\n", "/a/x", "a:\n- name: y\n# end\n"},
		{"a: 1\n", "/b", "a: 1\n"},
	} {
		d := parsed(t, c.before)
		if err := d.Remove(d.Root(), []string{c.path}); err != nil || d.Text() != c.after {
			t.Errorf("%s of %q: %v\n%q, want\n%q", c.path, c.before, err, d.Text(), c.after)
		}
	}
}

// Split keeps every byte, and takes no line within a block scalar for a separator.
func TestSplit(t *testing.T) {
	const file = "---\na: 1\n--- # two\nb: |\n  ---\n  x\n---\r\nc: 1\n"
	documents, err := Split(file)
	if err != nil || len(documents) != 3 || strings.Join(documents, "") != file {
		t.Errorf("%q, %v", documents, err)
	}
	if _, err := Split("a: \xff"); err == nil {
		t.Error("a file that is not UTF-8 is accepted")
	}
}
