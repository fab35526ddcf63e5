// Command skeleton reads a Go source file on standard input and prints, as JSON, what decides in
// it: the branches of every function, and the words that it uses. bench/codemetrics derives
// complexity and vocabulary from that, by the same definition as from Python's own parser. A node
// of a function's tree is [kind, children]; bench/codemetrics/skeleton.py explains the kinds.
package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"strings"
)

// A source is one file's skeleton.
type source struct {
	Functions []function     `json:"functions"`
	Words     map[string]int `json:"words"`
}

// A function is one with a body; those within it are nodes of its tree.
type function struct {
	Name  string `json:"name"`
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
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", os.Stdin, parser.SkipObjectResolution)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(read(fset, file))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// read takes the skeleton of one file.
func read(fset *token.FileSet, file *ast.File) source {
	s := source{Functions: []function{}, Words: words(file)}
	var outside []node
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
			nodes := append([]node{}, skeleton(f.Body)...)
			if callsItself(f) {
				nodes = append(nodes, node{kind: "recursion"})
			}
			s.Functions = append(s.Functions, function{
				qualified(f), fset.Position(f.Pos()).Line, fset.Position(f.End()).Line, nodes,
			})
		} else if !ok {
			outside = append(outside, skeleton(decl)...)
		}
	}
	if len(outside) > 0 {
		s.Functions = append(s.Functions, function{"<module>", 1, fset.Position(file.End()).Line, outside})
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
		switch callee := call.Fun.(type) {
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
