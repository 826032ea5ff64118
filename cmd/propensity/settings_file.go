package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// mostSettings bounds a file of settings, in bytes.
const mostSettings = 64 << 10

// readSettings reads a file of settings: YAML, each with the name of its flag. All that is
// wrong is said at once, with its line.
func readSettings(path string, names []string) ([]given, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, mostSettings+1))
	if err != nil {
		return nil, err
	}
	if len(text) > mostSettings {
		return nil, fmt.Errorf("%s: it has more than %d bytes: is it a file of settings?", path, mostSettings)
	}
	return parseSettings(path, text, names)
}

func parseSettings(path string, text []byte, names []string) ([]given, error) {
	tree, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, why := 1, err.Error()
		if syntax := new(yaml.SyntaxError); errors.As(err, &syntax) {
			why = syntax.Message
			if t := syntax.Token; t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		return nil, fmt.Errorf("%s:%d: it is no YAML: %s", path, line, why)
	}
	if len(tree.Docs) > 1 {
		return nil, fmt.Errorf("%s: it holds %d YAML documents (---), of which only one would count", path, len(tree.Docs))
	}
	var body ast.Node
	if len(tree.Docs) == 1 {
		body = tree.Docs[0].Body
	}
	if body == nil || body.Type() == ast.CommentType || body.Type() == ast.NullType {
		return nil, nil
	}
	var pairs []*ast.MappingValueNode
	switch n := body.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		return nil, fmt.Errorf("%s:%d: write settings as name: value", path, lineOf(body))
	}
	var all []given
	var faults []error
	for _, pair := range pairs {
		name, line := pair.Key.GetToken().Value, lineOf(pair.Key)
		where := fmt.Sprintf("%s:%d", path, line)
		switch {
		case !slices.Contains(names, name):
			faults = append(faults, fmt.Errorf("%s: %q: there is no such setting; there are %s", where, name, strings.Join(names, ", ")))
			continue
		case slices.ContainsFunc(all, func(g given) bool { return g.name == name }):
			faults = append(faults, fmt.Errorf("%s: %s is set twice", where, name))
			continue
		}
		g := given{name: name, where: where}
		list, many := pair.Value.(*ast.SequenceNode)
		if !many {
			list = &ast.SequenceNode{Values: []ast.Node{pair.Value}}
		}
		for _, node := range list.Values {
			value, ok := scalar(node)
			if !ok {
				faults = append(faults, fmt.Errorf("%s: %s is one value, or a list of them", where, name))
				break
			}
			g.values = append(g.values, value)
		}
		all = append(all, g)
	}
	return all, errors.Join(faults...)
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

// scalar is a value as it is written, without its quotes.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}
