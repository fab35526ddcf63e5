// Package linearizability checks histories of a key-value store's clients with Porcupine: is
// there one order of all operations, each at some moment between its call and its return, in
// which a single store would have given the same answers?
package linearizability

import (
	"bufio"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"io"
	"slices"

	"github.com/anishathalye/porcupine"
)

// An Operation is what a client asked of a key.
type Operation struct {
	Op     string // "set", "cas", "get", or "read", which is a get without a log entry
	Key    string
	Value  string  // what set and cas write
	Expect *string // what cas has to find, nil for no value
}

// An Outcome is the answer to an operation. It is unknown where none came: then the operation
// may take effect at any time after its call, or never.
type Outcome struct {
	Known bool
	Value *string // what get and read found, nil for no value
	Done  bool    // whether cas wrote
}

// A record is an operation as a line of a history has it.
type record struct {
	Client   int            `json:"client"`
	Op       string         `json:"op"`
	Key      string         `json:"key"`
	Value    *string        `json:"value,omitzero"`
	Expect   *string        `json:"expect,omitzero"`
	CallNs   int64          `json:"call_ns"`
	ReturnNs *int64         `json:"return_ns"`
	Result   jsontext.Value `json:"result,omitzero"`
}

// ReadHistory reads a history: a JSON object a line for each operation, in any order, with
// client, op, key, value (of set and cas), expect (of cas), call_ns, return_ns and result. If
// the outcome is unknown, return_ns is null. The clients are numbered from 0; the operations
// of one must not overlap if the picture is to show them well.
func ReadHistory(r io.Reader) ([]porcupine.Operation, error) {
	var history []porcupine.Operation
	var pending []int
	var last int64
	lines := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, err
		}
		if len(line) > 0 {
			operation, err := parse(line)
			if err != nil {
				return nil, fmt.Errorf("line %d is not an operation: %w", number, err)
			}
			if !operation.Output.(Outcome).Known {
				pending = append(pending, len(history))
			}
			last = max(last, operation.Call, operation.Return)
			history = append(history, operation)
		}
		if err == io.EOF {
			break
		}
	}
	for _, each := range pending {
		history[each].Return = last + 1
	}
	return history, nil
}

// parse reads a line.
func parse(line []byte) (porcupine.Operation, error) {
	var r record
	if err := json.Unmarshal(line, &r, json.RejectUnknownMembers(true)); err != nil {
		return porcupine.Operation{}, err
	}
	if !slices.Contains([]string{"set", "cas", "get", "read"}, r.Op) {
		return porcupine.Operation{}, fmt.Errorf("its op is %q, not set, cas, get or read", r.Op)
	}
	input := Operation{Op: r.Op, Key: r.Key, Expect: r.Expect}
	if writes := r.Op == "set" || r.Op == "cas"; writes != (r.Value != nil) {
		return porcupine.Operation{}, fmt.Errorf("set and cas have a value, and no others")
	} else if writes {
		input.Value = *r.Value
	}
	operation := porcupine.Operation{ClientId: r.Client, Input: input, Call: r.CallNs, Output: Outcome{}}
	if r.ReturnNs == nil {
		return operation, nil
	}
	if operation.Return = *r.ReturnNs; operation.Return < operation.Call {
		return porcupine.Operation{}, fmt.Errorf("it returned before it was called")
	}
	outcome := Outcome{Known: true}
	var err error
	switch r.Op {
	case "cas":
		err = json.Unmarshal(r.Result, &outcome.Done)
	case "get", "read":
		err = json.Unmarshal(r.Result, &outcome.Value)
	}
	if err != nil {
		return porcupine.Operation{}, fmt.Errorf("no %s has the result %s", r.Op, r.Result)
	}
	operation.Output = outcome
	return operation, nil
}
