package sinks

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"skr/internal/keyformat"
	"skr/internal/secmem"
)

const (
	maxTemplate = 64 << 10 // bytes
	maxRendered = 1 << 20
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
func parseTemplate(text string) (*template.Template, []named, error) {
	declared := template.FuncMap{}
	for _, name := range functions {
		declared[name] = func(...any) (string, error) { return "", errors.New("not bound") }
	}
	parsed, err := template.New("template").Funcs(declared).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, nil, errors.New(strings.TrimPrefix(err.Error(), "template: template:"))
	}
	if len(parsed.Templates()) > 1 {
		return nil, nil, errors.New("define and block cannot be used")
	}
	if parsed.Tree == nil {
		return parsed, nil, nil // nothing but space
	}
	var c checker
	err = c.check(parsed.Root)
	return parsed, c.named, err
}

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
	case *parse.TextNode, *parse.CommentNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode, *parse.VariableNode:
		return nil
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

// execute renders the template, for the caller to wipe.
func (in *inputs) execute() (text []byte, err error) {
	out := &bounded{}
	calls := 0
	secmem.Do(func() { err = in.template.Funcs(in.funcs(&calls)).Execute(out, nil) })
	if err != nil {
		wipe(out.text.Bytes())
		return nil, templateError(err)
	}
	return out.text.Bytes(), nil
}

func (in *inputs) funcs(calls *int) template.FuncMap {
	counted := func(text []byte, err error) (string, error) {
		defer wipe(text)
		if *calls++; *calls > maxCalls {
			return "", fmt.Errorf("more than %d calls of key and secret", maxCalls)
		}
		return string(text), err
	}
	return template.FuncMap{
		"key": func(alias, name string) (string, error) {
			format, err := keyformat.Parse(name)
			if err != nil { // its text repeats the name, which may be a key
				return "", errors.New("the format of a key is none of " + keyformat.Names())
			}
			return counted(in.encode(alias, format))
		},
		"secret": func(alias, path string) (string, error) { return counted(in.open(alias, path)) },
		"keyID": func(alias string) (string, error) {
			key, err := in.get(alias)
			if err != nil {
				return "", err
			}
			return key.ID(), nil
		},
		"version": func(alias string) (string, error) {
			key, err := in.get(alias)
			if err != nil {
				return "", err
			}
			return key.Version(), nil
		},
		"base64": func(text string) (string, error) { return limited(base64.StdEncoding.EncodeToString([]byte(text))) },
		"quote":  quote,
		"indent": indent,
		"trim":   strings.TrimSpace,
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

var errTooLong = fmt.Errorf("the result is longer than %d bytes", maxRendered)

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

// templateError returns an error of this package as it is: that of text/template quotes the
// template, and may quote what a function returned.
func templateError(err error) error {
	failed, ok := errors.AsType[template.ExecError](err)
	if !ok {
		return err
	}
	if inner := failed.Unwrap(); inner != nil {
		if own := errors.Unwrap(inner); own != nil {
			return fmt.Errorf("the template: %w", own)
		}
	}
	return errors.New("the template cannot be rendered: a function has arguments of a wrong number or type")
}
