package host

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"raftmark/raft"
)

const (
	maxID         = 1<<53 - 1
	maxKeyBytes   = 64 << 10
	maxValueBytes = 512 << 10
	maxPathBytes  = 4096
	maxNodes      = 9
	maxDepth      = 100 // to which a line is looked through for its id
)

// badRequest is the error for a request that does not keep to docs/protocol.md.
func badRequest(format string, arguments ...any) error {
	return raft.Errorf(raft.BadRequest, format, arguments...)
}

// A request is a line of input. Its id is nil if there is no valid one.
type request struct {
	id *int
	op string
	*fields
}

// parseRequest reads a line as far as it is a request.
func parseRequest(line []byte) (r request, err error) {
	if r.fields, err = parse(line); err != nil {
		r.id = idOf(line)
		return r, err
	}
	id := required(r.fields, "id", integer(0, maxID))
	if r.err != nil {
		return r, r.err
	}
	r.id = &id
	r.op = required(r.fields, "op", text(0, maxLine))
	return r, r.err
}

// idOf is the one valid id of a line that parse refuses and that is a JSON object all the same:
// its names may be repeated, its strings have halves of characters, and it may be nested to any
// depth.
func idOf(line []byte) *int {
	if !utf8.Valid(line) {
		return nil
	}
	members := jsontext.NewDecoder(bytes.NewReader(shallow(line)),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if begin, err := members.ReadToken(); err != nil || begin.Kind() != '{' {
		return nil
	}
	var ids []jsontext.Value
	for members.PeekKind() == '"' {
		name, err := members.ReadToken()
		isID := err == nil && name.String() == "id"
		value, err := members.ReadValue()
		if err != nil {
			return nil
		}
		if isID {
			ids = append(ids, value.Clone())
		}
	}
	if end, err := members.ReadToken(); err != nil || end.Kind() != '}' || len(ids) != 1 {
		return nil
	}
	if _, err := members.ReadToken(); !errors.Is(err, io.EOF) {
		return nil
	}
	id, err := integer(0, maxID)(ids[0])
	if err != nil {
		return nil
	}
	return &id
}

// shallow is the line without what is nested too deep for a parser.
func shallow(line []byte) (kept []byte) {
	start, depth, quoted := 0, 0, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			if depth == maxDepth {
				kept = append(kept, line[start:i+1]...)
			}
			depth++
		case c == ']' || c == '}':
			depth--
			if depth == maxDepth {
				start = i
			}
		}
	}
	if depth > maxDepth {
		return kept
	}
	return append(kept, line[start:]...)
}

// Fields are what is left to be read of an object. After the first fault all further
// reading is idle, and end tells of that fault.
type fields struct {
	unread map[string]jsontext.Value
	err    error
}

// parse reads a line of JSON. It is strict: text that is not UTF-8, an escaped half of a
// character, or a name twice are no JSON.
func parse(line []byte) (*fields, error) {
	var unread map[string]jsontext.Value
	if err := json.Unmarshal(line, &unread); err != nil {
		return nil, badRequest("not a JSON object: %v", err)
	}
	return &fields{unread: unread}, nil
}

// end is the first fault, or that a field was not known.
func (f *fields) end() error {
	if f.err == nil && len(f.unread) > 0 {
		f.err = badRequest("unknown field %.40q", slices.Min(slices.Collect(maps.Keys(f.unread))))
	}
	return f.err
}

// A check takes a JSON value for what it has to be.
type check[T any] func(jsontext.Value) (T, error)

// optional reads a field, or is otherwise where there is none of that name.
func optional[T any](f *fields, name string, check check[T], otherwise T) T {
	raw, ok := f.unread[name]
	if !ok || f.err != nil {
		return otherwise
	}
	delete(f.unread, name)
	value, err := check(raw)
	if err != nil {
		f.err = badRequest("%s %v", name, err)
	}
	return value
}

// required reads a field that must be there.
func required[T any](f *fields, name string, check check[T]) (value T) {
	if _, ok := f.unread[name]; !ok && f.err == nil {
		f.err = badRequest("%s is missing", name)
	}
	return optional(f, name, check, value)
}

// has reports whether there is a field of that name, read or not.
func (f *fields) has(name string) bool {
	_, ok := f.unread[name]
	return ok
}

// integer is a number without fraction or exponent.
func integer(low, high int) check[int] {
	return func(raw jsontext.Value) (int, error) {
		value, err := strconv.Atoi(string(raw))
		if err != nil || value < low || value > high {
			return 0, fmt.Errorf("must be an integer from %d to %d", low, high)
		}
		return value, nil
	}
}

func boolean(raw jsontext.Value) (bool, error) {
	switch raw.Kind() {
	case 't', 'f':
		return raw.Kind() == 't', nil
	default:
		return false, fmt.Errorf("must be true or false")
	}
}

func number(low, high float64) check[float64] {
	return func(raw jsontext.Value) (float64, error) {
		value, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || raw.Kind() != '0' || value < low || value > high {
			return 0, fmt.Errorf("must be a number from %v to %v", low, high)
		}
		return value, nil
	}
}

// duration is a number of units.
func duration(low, high float64, unit time.Duration) check[time.Duration] {
	check := number(low, high)
	return func(raw jsontext.Value) (time.Duration, error) {
		value, err := check(raw)
		return time.Duration(value * float64(unit)), err
	}
}

// span is a pair [lo, hi] of milliseconds.
func span(low, high float64) check[raft.Range] {
	check := list(duration(low, high, time.Millisecond))
	return func(raw jsontext.Value) (raft.Range, error) {
		pair, err := check(raw)
		if err != nil || len(pair) != 2 || pair[0] > pair[1] {
			return raft.Range{}, fmt.Errorf("must be [lo, hi] with %v <= lo <= hi <= %v", low, high)
		}
		return raft.Range{Low: pair[0], High: pair[1]}, nil
	}
}

func text(minBytes, maxBytes int) check[string] {
	return func(raw jsontext.Value) (string, error) {
		var value string
		if raw.Kind() != '"' || json.Unmarshal(raw, &value) != nil {
			return "", fmt.Errorf("must be a string")
		}
		if len(value) < minBytes || len(value) > maxBytes {
			return "", fmt.Errorf("must have %d to %d bytes", minBytes, maxBytes)
		}
		return value, nil
	}
}

// path is a text that no system call refuses for its form.
func path(raw jsontext.Value) (string, error) {
	value, err := text(1, maxPathBytes)(raw)
	if err == nil && strings.ContainsRune(value, 0) {
		err = fmt.Errorf("must not contain a NUL character")
	}
	return value, err
}

func choice(options ...string) check[string] {
	check := text(0, maxLine)
	return func(raw jsontext.Value) (string, error) {
		value, err := check(raw)
		if err != nil || !slices.Contains(options, value) {
			return "", fmt.Errorf("must be one of: %s", strings.Join(options, ", "))
		}
		return value, nil
	}
}

// nullable is the same or null, which is nil.
func nullable[T any](check check[T]) check[*T] {
	return func(raw jsontext.Value) (*T, error) {
		if raw.Kind() == 'n' {
			return nil, nil
		}
		value, err := check(raw)
		return &value, err
	}
}

func list[T any](check check[T]) check[[]T] {
	return func(raw jsontext.Value) ([]T, error) {
		var items []jsontext.Value
		if raw.Kind() != '[' || json.Unmarshal(raw, &items) != nil {
			return nil, fmt.Errorf("must be an array")
		}
		values := make([]T, 0, len(items))
		for _, item := range items {
			value, err := check(item)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		return values, nil
	}
}

func object(raw jsontext.Value) (*fields, error) {
	if raw.Kind() != '{' {
		return &fields{}, fmt.Errorf("must be an object")
	}
	return parse(raw)
}

// server is a node of any cluster.
func server() check[raft.NodeID] {
	check := integer(1, maxNodes)
	return func(raw jsontext.Value) (raft.NodeID, error) {
		value, err := check(raw)
		return raft.NodeID(value), err
	}
}

// node is one of the running cluster's.
func node(nodes []raft.NodeID) check[raft.NodeID] {
	check := server()
	return func(raw jsontext.Value) (raft.NodeID, error) {
		id, err := check(raw)
		if err != nil || !slices.Contains(nodes, id) {
			return 0, fmt.Errorf("must be one of the nodes %v", nodes)
		}
		return id, nil
	}
}

// groups are lists of nodes, each node at most once.
func groups(nodes []raft.NodeID) check[[][]raft.NodeID] {
	check := list(list(node(nodes)))
	return func(raw jsontext.Value) ([][]raft.NodeID, error) {
		groups, err := check(raw)
		if err != nil {
			return nil, fmt.Errorf("must be lists of the nodes %v", nodes)
		}
		members := slices.Sorted(slices.Values(slices.Concat(groups...)))
		if len(slices.Compact(slices.Clone(members))) < len(members) {
			return nil, fmt.Errorf("must have each node at most once")
		}
		return groups, nil
	}
}

// ways are links' directions, each from one node to another.
func ways(nodes []raft.NodeID) check[[]raft.Way] {
	check := list(list(node(nodes)))
	return func(raw jsontext.Value) ([]raft.Way, error) {
		pairs, err := check(raw)
		ways := make([]raft.Way, 0, len(pairs))
		for _, pair := range pairs {
			if len(pair) != 2 || pair[0] == pair[1] {
				err = fmt.Errorf("not two nodes")
				break
			}
			ways = append(ways, raft.Way{From: pair[0], To: pair[1]})
		}
		if err != nil {
			return nil, fmt.Errorf("must be pairs [from, to] of two of the nodes %v", nodes)
		}
		return ways, nil
	}
}

// command is a client's, without its session.
func command(raw jsontext.Value) (*raft.Command, error) {
	f, err := object(raw)
	if err != nil {
		return nil, err
	}
	key, value := text(0, maxKeyBytes), text(0, maxValueBytes)
	command := &raft.Command{
		Op: raft.Op(required(f, "op", choice(string(raft.Set), string(raft.Get), string(raft.Cas)))),
	}
	command.Key = required(f, "key", key)
	if command.Op == raft.Cas {
		command.Expect = required(f, "expect", nullable(value))
	}
	if command.Op != raft.Get {
		command.Value = new(required(f, "value", value))
	}
	if err := f.end(); err != nil {
		return nil, fmt.Errorf("is wrong: %w", err)
	}
	return command, nil
}
