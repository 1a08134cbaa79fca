package inspect

import "strconv"

// Description is a shown artefact. Its JSON form is stable.
type Description struct {
	Kind     Kind      `json:"kind"`
	Name     string    `json:"name"`
	Carrier  []string  `json:"carrier"`
	Sections []Section `json:"sections"`
}

// Section is a part of a description.
type Section struct {
	Title  string  `json:"title"`
	Fields []Field `json:"fields"`
}

// Field is one thing that an artefact says.
type Field struct {
	Name string `json:"name"`
	// Value is as the artefact has it: hexadecimal digits in lower case without
	// 0x, times as RFC 3339, JSON for lists.
	Value string `json:"value"`
	// Meaning is for people; it may be empty.
	Meaning string `json:"meaning,omitempty"`
}

func (s *Section) add(name, value, meaning string) {
	s.Fields = append(s.Fields, Field{name, value, meaning})
}

// addFlag adds a bit with what its two values mean.
func (s *Section) addFlag(name string, set bool, meanings [2]string) {
	meaning := meanings[0]
	if set {
		meaning = meanings[1]
	}
	s.add(name, strconv.FormatBool(set), meaning)
}
