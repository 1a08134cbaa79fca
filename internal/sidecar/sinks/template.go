package sinks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template/parse"
)

const (
	maxTemplate = 64 << 10 // bytes
	maxRendered = 1 << 20
	// maxMade bounds the bytes that functions return in one rendering.
	maxMade = 16 << 20
	// maxCalls bounds the calls of key and secret in one rendering. A call takes milliseconds.
	maxCalls  = 256
	maxIndent = 64
)

// functions are those that templates may use, beside the comparisons in builtins. There is none
// for the environment, files or programs.
var functions = []string{"key", "secret", "keyID", "version", "base64", "quote", "indent", "trim"}

// builtins are the functions of text/template that templates may use.
var builtins = []string{"eq", "ne", "and", "or", "not"}

// parseTemplate parses a template and checks that its time is bounded: it has no loops, calls no
// other templates, and uses only the functions of this package. It returns the aliases that the
// template names, with the right that it needs.
//
// Of text/template only the parser is used. The executor finds methods by name, so that the linker
// keeps every exported method of the program: 4 MB.
func parseTemplate(text string) (*parse.ListNode, []named, error) {
	declared := map[string]any{}
	for _, name := range slices.Concat(functions, builtins) {
		declared[name] = name
	}
	trees, err := parse.Parse("template", text, "", "", declared)
	if err != nil {
		return nil, nil, errors.New(strings.TrimPrefix(err.Error(), "template: template:"))
	}
	if len(trees) > 1 {
		return nil, nil, errors.New("define and block cannot be used")
	}
	if trees["template"] == nil {
		return &parse.ListNode{}, nil, nil
	}
	root := trees["template"].Root
	var c checker
	err = c.check(root)
	return root, c.named, err
}

func isBuiltin(name string) bool { return slices.Contains(builtins, name) }

// named is an alias that a template names.
type named struct {
	alias string
	right Right
}

// checker walks a template.
type checker struct{ named []named }

// check refuses whatever it does not know.
func (c *checker) check(node parse.Node) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		return checkAll(c, n.Nodes)
	case *parse.ActionNode:
		return c.check(n.Pipe)
	case *parse.IfNode:
		return errors.Join(c.check(n.Pipe), c.check(n.List), c.check(n.ElseList))
	case *parse.PipeNode:
		return checkAll(c, n.Cmds)
	case *parse.CommandNode:
		c.note(n.Args)
		return checkAll(c, n.Args)
	case *parse.IdentifierNode:
		if !slices.Contains(functions, n.Ident) && !slices.Contains(builtins, n.Ident) {
			return fmt.Errorf("the function %q cannot be used; use %s", n.Ident, strings.Join(functions, ", "))
		}
		return nil
	case *parse.TextNode, *parse.CommentNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
		return nil
	case *parse.VariableNode:
		if len(n.Ident) == 1 && n.Ident[0] != "$" {
			return nil
		}
	}
	return fmt.Errorf("%.40q cannot be used: a template has text, if, variables and the functions %s", node.String(), strings.Join(functions, ", "))
}

func checkAll[N parse.Node](c *checker, nodes []N) error {
	for _, n := range nodes {
		if err := c.check(n); err != nil {
			return err
		}
	}
	return nil
}

// note keeps the alias of a call of key or secret, if it is written there. Others are checked when
// the template is rendered.
func (c *checker) note(args []parse.Node) {
	if len(args) < 2 {
		return
	}
	function, isFunction := args[0].(*parse.IdentifierNode)
	alias, isText := args[1].(*parse.StringNode)
	rights := map[string]Right{"key": Give, "secret": Open}
	if !isFunction || !isText {
		return
	}
	if right, known := rights[function.Ident]; known {
		c.named = append(c.named, named{alias.Text, right})
	}
}

// quote returns a JSON string, which is a YAML string too.
func quote(text string) (string, error) {
	quoted, err := json.Marshal(text)
	if err != nil {
		return "", err
	}
	return limited(string(quoted))
}

// indent puts spaces before each line but the first.
func indent(spaces int, text string) (string, error) {
	if spaces < 0 || spaces > maxIndent {
		return "", fmt.Errorf("indent: the number of spaces must be 0 to %d", maxIndent)
	}
	return limited(strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", spaces)))
}

var (
	errTooLong = fmt.Errorf("the result is longer than %d bytes", maxRendered)
	errTooMuch = fmt.Errorf("the functions return more than %d bytes", maxMade)
)

func limited(text string) (string, error) {
	if len(text) > maxRendered {
		return "", errTooLong
	}
	return text, nil
}

// bounded is the output of a template.
type bounded struct{ text bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > maxRendered {
		return 0, errTooLong
	}
	return b.text.Write(p)
}
