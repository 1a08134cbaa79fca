package sinks

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template/parse"

	"skr/internal/keyformat"
	"skr/internal/secmem"
)

// errArguments quotes nothing: an argument may be a key.
var errArguments = errors.New("a function has arguments of a wrong number or type")

// execute renders the template, for the caller to wipe. It has the semantics of text/template for
// what [parseTemplate] accepts. Values are string, int64 and bool.
func (in *inputs) execute() (text []byte, err error) {
	run := &execution{in: in}
	secmem.Do(func() { err = run.list(in.template) })
	if err != nil {
		wipe(run.out.text.Bytes())
		return nil, fmt.Errorf("the template: %w", err)
	}
	return run.out.text.Bytes(), nil
}

// execution is one rendering.
type execution struct {
	in        *inputs
	out       bounded
	variables []variable // the innermost last
	calls     int        // of key and secret
	made      int        // bytes that functions returned, which variables may hold
}

type variable struct {
	name  string
	value any
}

func (e *execution) list(list *parse.ListNode) error {
	if list == nil {
		return nil
	}
	for _, node := range list.Nodes {
		if err := e.node(node); err != nil {
			return err
		}
	}
	return nil
}

func (e *execution) node(node parse.Node) error {
	switch n := node.(type) {
	case *parse.TextNode:
		_, err := e.out.Write(n.Text)
		return err
	case *parse.ActionNode:
		value, err := e.pipe(n.Pipe)
		if err != nil || len(n.Pipe.Decl) > 0 {
			return err
		}
		_, err = fmt.Fprint(&e.out, value)
		return err
	case *parse.IfNode:
		outer := len(e.variables)
		defer func() { e.variables = e.variables[:outer] }()
		value, err := e.pipe(n.Pipe)
		switch {
		case err != nil:
			return err
		case truth(value):
			return e.list(n.List)
		}
		return e.list(n.ElseList)
	}
	return nil // a comment
}

func (e *execution) pipe(pipe *parse.PipeNode) (value any, err error) {
	for i, command := range pipe.Cmds {
		var piped []any
		if i > 0 {
			piped = []any{value}
		}
		if value, err = e.command(command, piped); err != nil {
			return nil, err
		}
	}
	for _, declared := range pipe.Decl {
		e.set(declared.Ident[0], value, pipe.IsAssign)
	}
	return value, nil
}

func (e *execution) set(name string, value any, assign bool) {
	for i := len(e.variables) - 1; assign && i >= 0; i-- {
		if e.variables[i].name == name {
			e.variables[i].value = value
			return
		}
	}
	e.variables = append(e.variables, variable{name, value})
}

// command evaluates a function with its arguments, or a value alone.
func (e *execution) command(command *parse.CommandNode, piped []any) (any, error) {
	function, isFunction := command.Args[0].(*parse.IdentifierNode)
	if !isFunction {
		if len(command.Args) > 1 || piped != nil {
			return nil, errArguments
		}
		return e.value(command.Args[0])
	}
	var args []any
	for _, node := range command.Args[1:] {
		value, err := e.value(node)
		if err != nil {
			return nil, err
		}
		if args = append(args, value); decides(function.Ident, value) {
			return value, nil
		}
	}
	return e.call(function.Ident, append(args, piped...))
}

// decides reports whether the value of an argument is the result of and, or of or.
func decides(function string, value any) bool {
	return function == "and" && !truth(value) || function == "or" && truth(value)
}

func (e *execution) value(node parse.Node) (any, error) {
	switch n := node.(type) {
	case *parse.StringNode:
		return n.Text, nil
	case *parse.BoolNode:
		return n.True, nil
	case *parse.NumberNode:
		if n.IsInt {
			return n.Int64, nil
		}
	case *parse.PipeNode:
		return e.pipe(n)
	case *parse.IdentifierNode:
		return e.call(n.Ident, nil)
	case *parse.VariableNode:
		for i := len(e.variables) - 1; i >= 0; i-- {
			if e.variables[i].name == n.Ident[0] {
				return e.variables[i].value, nil
			}
		}
	}
	return nil, errArguments
}

func truth(value any) bool { return value != "" && value != int64(0) && value != false }

func (e *execution) call(name string, args []any) (any, error) {
	value, err := e.apply(name, args)
	text, _ := value.(string)
	if e.made += len(text); e.made > maxMade {
		return nil, errTooMuch
	}
	return value, err
}

func (e *execution) apply(name string, args []any) (any, error) {
	if name == "indent" && len(args) == 2 {
		return indentAs(args[0], args[1])
	}
	texts := make([]string, len(args))
	for i, arg := range args {
		texts[i], _ = arg.(string)
		if _, isText := arg.(string); !isText && !isBuiltin(name) {
			return nil, errArguments
		}
	}
	switch {
	case isBuiltin(name):
		return logic(name, args)
	case (name == "key" || name == "secret") && len(args) == 2:
		return e.secret(name, texts[0], texts[1])
	case name != "key" && name != "secret" && name != "indent" && len(args) == 1:
		return e.convert(name, texts[0])
	}
	return nil, errArguments
}

func indentAs(spaces, text any) (any, error) {
	number, isNumber := spaces.(int64)
	lines, isText := text.(string)
	if !isNumber || !isText {
		return nil, errArguments
	}
	return indent(int(max(min(number, maxIndent+1), -1)), lines)
}

// convert calls a function of one text.
func (e *execution) convert(name, text string) (any, error) {
	switch name {
	case "base64":
		return limited(base64.StdEncoding.EncodeToString([]byte(text)))
	case "quote":
		return quote(text)
	case "trim":
		return strings.TrimSpace(text), nil
	}
	key, err := e.in.get(text)
	if err != nil {
		return nil, err
	}
	if name == "version" {
		return key.Version(), nil
	}
	return key.ID(), nil
}

// secret returns a key, or the secret of an envelope.
func (e *execution) secret(function, alias, other string) (any, error) {
	if e.calls++; e.calls > maxCalls {
		return nil, errors.New("more than " + strconv.Itoa(maxCalls) + " calls of key and secret")
	}
	if function == "secret" {
		return revealed(e.in.open(alias, other))
	}
	format, err := keyformat.Parse(other)
	if err != nil { // its text repeats the name, which may be a key
		return nil, errors.New("the format of a key is none of " + keyformat.Names())
	}
	return revealed(e.in.encode(alias, format))
}

func revealed(text []byte, err error) (any, error) {
	defer wipe(text)
	return string(text), err
}

// logic calls a function of text/template.
func logic(name string, args []any) (any, error) {
	switch {
	case name == "not" && len(args) == 1:
		return !truth(args[0]), nil
	case (name == "and" || name == "or") && len(args) > 0:
		return args[len(args)-1], nil // no earlier one decides
	case name == "ne" && len(args) == 2, name == "eq" && len(args) > 1:
		equal := false
		for _, other := range args[1:] {
			if fmt.Sprintf("%T", args[0]) != fmt.Sprintf("%T", other) {
				return nil, errors.New("incompatible types for comparison")
			}
			equal = equal || args[0] == other
		}
		return equal == (name == "eq"), nil
	}
	return nil, errArguments
}
