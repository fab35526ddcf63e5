// Command skeleton reads a Go source file on standard input and prints, as JSON, what decides in
// it: its tokens, the branches of every function, and the words that it uses. bench/codemetrics
// derives length, complexity and vocabulary from that, by the same definition as from Python's own
// parser. A node of a function's tree is [kind, children]; bench/codemetrics/skeleton.py explains
// the kinds. Lines are those of the text, whatever a //line directive says.
package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io"
	"os"
	"path"
	"strings"
)

// A source is one file's skeleton.
type source struct {
	Tokens    []lexeme       `json:"tokens"`
	Functions []function     `json:"functions"`
	Words     map[string]int `json:"words"`
}

// A lexeme is a token's text, and the first and last line that it touches.
type lexeme struct {
	text        string
	first, last int
}

// MarshalJSON writes the triple that the reader expects.
func (l lexeme) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{l.text, l.first, l.last})
}

// A function is one with a body; those within it are nodes of its tree. It begins at Line, and with
// the comment above it at First.
type function struct {
	Name  string `json:"name"`
	First int    `json:"first"`
	Line  int    `json:"line"`
	End   int    `json:"end"`
	Nodes []node `json:"nodes"`
}

// A node is something that decides, or that nests what decides.
type node struct {
	kind     string
	children []node
}

// MarshalJSON writes the pair that the reader expects.
func (n node) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{n.kind, append([]node{}, n.children...)})
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = skeletonOf(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// skeletonOf prints the skeleton of one file.
func skeletonOf(text []byte) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", text, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return err
	}
	s := read(fset, file)
	s.Tokens = tokens(text)
	return json.NewEncoder(os.Stdout).Encode(s)
}

// tokens scans a text that has been parsed. What only ends a line, or is a comment, is left out.
func tokens(text []byte) []lexeme {
	fset := token.NewFileSet()
	file := fset.AddFile("", fset.Base(), len(text))
	var s scanner.Scanner
	s.Init(file, text, nil, 0)
	found := []lexeme{}
	for {
		pos, kind, literal := s.Scan()
		switch {
		case kind == token.EOF:
			return found
		case kind == token.SEMICOLON && literal != ";":
			continue
		case literal == "":
			literal = kind.String()
		}
		line := file.PositionFor(pos, false).Line
		found = append(found, lexeme{literal, line, line + strings.Count(literal, "\n")})
	}
}

// read takes what decides in one file, and its words.
func read(fset *token.FileSet, file *ast.File) source {
	line := func(pos token.Pos) int { return fset.PositionFor(pos, false).Line }
	s := source{Functions: []function{}, Words: words(file)}
	var outside []node
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
			nodes := append([]node{}, skeleton(f.Body)...)
			if callsItself(f) {
				nodes = append(nodes, node{kind: "recursion"})
			}
			first := f.Pos()
			if f.Doc != nil {
				first = f.Doc.Pos()
			}
			s.Functions = append(s.Functions, function{
				qualified(f), line(first), line(f.Pos()), line(f.End()), nodes,
			})
		} else if !ok {
			outside = append(outside, skeleton(decl)...)
		}
	}
	if len(outside) > 0 {
		s.Functions = append(s.Functions, function{"<module>", 1, 1, line(file.End()), outside})
	}
	return s
}

// qualified returns a function's name, after its receiver's type if it has one.
func qualified(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	for {
		switch of := t.(type) {
		case *ast.StarExpr:
			t = of.X
		case *ast.IndexExpr:
			t = of.X
		case *ast.IndexListExpr:
			t = of.X
		case *ast.Ident:
			return of.Name + "." + f.Name.Name
		default:
			return f.Name.Name
		}
	}
}

// skeleton collects the nodes below n, in order; nil has none.
func skeleton(n ast.Node) []node {
	var found []node
	if n == nil {
		return nil
	}
	ast.Inspect(n, func(n ast.Node) bool {
		nodes, whole := deciding(n)
		found = append(found, nodes...)
		return !whole
	})
	return found
}

// deciding returns the nodes that n itself makes; whole if its children are in them.
func deciding(n ast.Node) (nodes []node, whole bool) {
	switch n := n.(type) {
	case *ast.IfStmt:
		return branches("if", n), true
	case *ast.ForStmt, *ast.RangeStmt:
		return []node{{"loop", within(n)}}, true
	case *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
		return []node{{"choice", within(n)}}, true
	case *ast.CaseClause:
		return []node{{clause(n.List == nil), within(n)}}, true
	case *ast.CommClause:
		return []node{{clause(n.Comm == nil), within(n)}}, true
	case *ast.FuncLit:
		return []node{{"function", skeleton(n.Body)}}, true
	case *ast.BranchStmt:
		if n.Label != nil || n.Tok == token.GOTO {
			return []node{{kind: "jump"}}, true
		}
	case *ast.BinaryExpr:
		if n.Op == token.LAND || n.Op == token.LOR {
			return connected(n), true
		}
	}
	return nil, false
}

// branches flattens `if … else if … else` into siblings.
func branches(kind string, n *ast.IfStmt) []node {
	if checksError(n.Cond) {
		kind += "-error"
	}
	head := skeleton(n.Cond)
	if n.Init != nil {
		head = append(skeleton(n.Init), head...)
	}
	nodes := []node{{kind, append(head, skeleton(n.Body)...)}}
	switch rest := n.Else.(type) {
	case *ast.IfStmt:
		return append(nodes, branches("elif", rest)...)
	case *ast.BlockStmt:
		return append(nodes, node{"else", skeleton(rest)})
	}
	return nodes
}

// checksError recognises the idiom `err != nil`.
func checksError(condition ast.Expr) bool {
	comparison, ok := condition.(*ast.BinaryExpr)
	if !ok || comparison.Op != token.NEQ {
		return false
	}
	left, ok := comparison.X.(*ast.Ident)
	right, isNil := comparison.Y.(*ast.Ident)
	return ok && isNil && left.Name == "err" && right.Name == "nil"
}

func clause(isDefault bool) string {
	if isDefault {
		return "default"
	}
	return "case"
}

// within collects the nodes of n's children, without n itself.
func within(n ast.Node) []node {
	var found []node
	ast.Inspect(n, func(child ast.Node) bool {
		if child == n {
			return true
		}
		if child != nil {
			found = append(found, skeleton(child)...)
		}
		return false
	})
	return found
}

// connected turns a chain of && and || into one node an operator, "sequence" where the operator
// differs from the one before it and "operator" where it goes on.
func connected(n *ast.BinaryExpr) []node {
	var nodes []node
	last := token.ILLEGAL
	var walk func(ast.Expr)
	walk = func(e ast.Expr) {
		inner := e
		for {
			bracketed, ok := inner.(*ast.ParenExpr)
			if !ok {
				break
			}
			inner = bracketed.X
		}
		b, ok := inner.(*ast.BinaryExpr)
		if !ok || b.Op != token.LAND && b.Op != token.LOR {
			nodes = append(nodes, skeleton(e)...)
			return
		}
		walk(b.X)
		kind := "operator"
		if b.Op != last {
			kind, last = "sequence", b.Op
		}
		nodes = append(nodes, node{kind: kind})
		walk(b.Y)
	}
	walk(n)
	return nodes
}

// callsItself reports whether a function calls itself by name.
func callsItself(f *ast.FuncDecl) bool {
	receiver := ""
	if f.Recv != nil && len(f.Recv.List[0].Names) > 0 {
		receiver = f.Recv.List[0].Names[0].Name
	}
	found := false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch callee := uninstantiated(call.Fun).(type) {
		case *ast.Ident:
			found = found || f.Recv == nil && callee.Name == f.Name.Name
		case *ast.SelectorExpr:
			on, ok := callee.X.(*ast.Ident)
			found = found || ok && receiver != "" && on.Name == receiver && callee.Sel.Name == f.Name.Name
		}
		return true
	})
	return found
}

// uninstantiated takes the type arguments off a generic function that is called.
func uninstantiated(called ast.Expr) ast.Expr {
	switch called := called.(type) {
	case *ast.IndexExpr:
		return called.X
	case *ast.IndexListExpr:
		return called.X
	}
	return called
}

// words counts the language's own words of concurrency, and what is taken from packages by its
// full name.
func words(file *ast.File) map[string]int {
	imports := map[string]string{}
	for _, spec := range file.Imports {
		full := strings.Trim(spec.Path.Value, "`\"")
		name := path.Base(full)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = full
	}
	counts := map[string]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			counts["go"]++
		case *ast.SelectStmt:
			counts["select"]++
		case *ast.ChanType:
			counts["chan"]++
		case *ast.SendStmt:
			counts["<- (send)"]++
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				counts["<- (receive)"]++
			}
		case *ast.SelectorExpr:
			if of, ok := n.X.(*ast.Ident); ok && imports[of.Name] != "" {
				counts[imports[of.Name]+"."+n.Sel.Name]++
			} else {
				counts["."+n.Sel.Name]++
			}
		}
		return true
	})
	return counts
}
