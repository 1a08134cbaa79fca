package splice

import (
	"errors"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Remove plans to remove what Add returned the paths of. It keeps a collection that Add made if it has other
// members now, and ignores what is gone.
func (d *Document) Remove(from *yaml.Node, paths []string) error {
	r := removal{Document: d, gone: map[*yaml.Node]bool{}}
	tree := &branch{}
	for _, path := range paths {
		if !strings.HasPrefix(path, "/") {
			return errors.New("the record of what was added is not readable")
		}
		tree.add(strings.Split(path[1:], "/"))
	}
	r.mark(from, tree)
	return r.emit(from, tree, len(d.starts)+1)
}

// branch is a part of the tree of paths.
type branch struct {
	below       map[string]*branch
	leaf, whole bool // leaf: added as a whole; whole: a collection that was made
}

func (b *branch) add(names []string) {
	switch {
	case len(names) == 0:
		b.leaf = true
		return
	case len(names) == 1 && names[0] == "":
		b.whole = true
		return
	}
	if b.below == nil {
		b.below = map[string]*branch{}
	}
	name := unescape(names[0])
	if b.below[name] == nil {
		b.below[name] = &branch{}
	}
	b.below[name].add(names[1:])
}

type removal struct {
	*Document
	gone map[*yaml.Node]bool
}

// mark finds what is removed, and reports whether the node itself is.
func (r *removal) mark(n *yaml.Node, b *branch) bool {
	if b.leaf {
		return true
	}
	left := 0
	for _, child := range childrenOf(n) {
		if below := b.below[child.name]; below == nil || !r.mark(child.value, below) {
			left++
			continue
		}
		r.gone[child.value] = true
	}
	return b.whole && left == 0 && n.Kind != yaml.ScalarNode && n.Kind != yaml.AliasNode
}

// child is a member or an item. It begins at first.
type child struct {
	name         string
	first, value *yaml.Node
}

func childrenOf(n *yaml.Node) (all []child) {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			all = append(all, child{identity(item), item, item})
		}
	}
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		all = append(all, child{n.Content[i].Value, n.Content[i], n.Content[i+1]})
	}
	return all
}

// emit plans the edits below a node that stays. The node ends before a line.
func (r *removal) emit(n *yaml.Node, b *branch, end int) error {
	children := childrenOf(n)
	isGone := func(c child) bool { return r.gone[c.value] }
	if slices.ContainsFunc(children, isGone) {
		if err := r.editable(n); err != nil {
			return err
		}
		if isFlow(n) {
			if err := r.fromFlow(children, isGone); err != nil {
				return err
			}
		}
	}
	for i, c := range children {
		before := end
		if i+1 < len(children) {
			before = children[i+1].first.Line
		}
		switch below := b.below[c.name]; {
		case isGone(c) && !isFlow(n):
			if err := r.fromBlock(n, c, before); err != nil {
				return err
			}
		case !isGone(c) && below != nil:
			if err := r.emit(c.value, below, before); err != nil {
				return err
			}
		}
	}
	return nil
}

// fromBlock removes the lines of a child.
func (r *removal) fromBlock(n *yaml.Node, c child, before int) error {
	line := c.first.Line
	prefix := r.line(line)[:r.offset(c.first)-r.starts[line-1]]
	if n.Kind == yaml.SequenceNode {
		prefix = strings.TrimSuffix(strings.TrimRight(prefix, " "), "-")
	}
	if strings.Trim(prefix, " ") != "" {
		return at(c.first, "it does not begin a line: write it in a line of its own")
	}
	r.edits = append(r.edits, edit{from: r.starts[line-1], to: r.lineEnd(r.lastLine(c.value, len(prefix), before))})
	return nil
}

// flowEdit removes the children from first to last, with one comma.
func (r *removal) flowEdit(children []child, first, last int) (edit, error) {
	from := r.offset(children[first].first)
	if last+1 < len(children) {
		return edit{from: from, to: r.offset(children[last+1].first)}, nil
	}
	to, err := r.end(children[last].value)
	if err == nil && first > 0 {
		from, err = r.end(children[first-1].value)
	}
	return edit{from: from, to: to}, err
}

// fromFlow removes runs of children with the commas and spaces after them.
func (r *removal) fromFlow(children []child, isGone func(child) bool) error {
	for i := 0; i < len(children); i++ {
		if !isGone(children[i]) {
			continue
		}
		last := i
		for last+1 < len(children) && isGone(children[last+1]) {
			last++
		}
		gone, err := r.flowEdit(children, i, last)
		if err != nil {
			return err
		}
		r.edits = append(r.edits, gone)
		i = last
	}
	return nil
}
