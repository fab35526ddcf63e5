package linearizability

import (
	"fmt"
	"maps"
	"slices"

	"github.com/anishathalye/porcupine"
)

// A register is the state of one key.
type register struct {
	exists bool
	value  string
}

func (r register) holds(value *string) bool {
	if value == nil {
		return !r.exists
	}
	return r == register{true, *value}
}

// Model is a key-value store for Porcupine, one key at a time.
var Model = porcupine.Model{
	Partition: byKey,
	Init:      func() any { return register{} },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(register), input.(Operation), output.(Outcome))
	},
	DescribeOperation: func(input, output any) string {
		return describe(input.(Operation), output.(Outcome))
	},
	DescribeState: func(state any) string {
		if r := state.(register); r.exists {
			return r.value
		}
		return "no value"
	},
}

// step reports whether a store in this state can answer so, and its next state.
func step(state register, operation Operation, outcome Outcome) (bool, register) {
	after := state
	legal := true
	switch operation.Op {
	case "set":
		after = register{true, operation.Value}
	case "cas":
		swaps := state.holds(operation.Expect)
		if swaps {
			after = register{true, operation.Value}
		}
		legal = swaps == outcome.Done
	default:
		legal = state.holds(outcome.Value)
	}
	return legal || !outcome.Known, after
}

// byKey takes the operations on each key apart, in the order of the keys.
func byKey(history []porcupine.Operation) [][]porcupine.Operation {
	of := make(map[string][]porcupine.Operation)
	for _, operation := range history {
		key := operation.Input.(Operation).Key
		of[key] = append(of[key], operation)
	}
	var keys [][]porcupine.Operation
	for _, key := range slices.Sorted(maps.Keys(of)) {
		keys = append(keys, of[key])
	}
	return keys
}

func describe(operation Operation, outcome Outcome) string {
	var asked, answered string
	switch operation.Op {
	case "set":
		asked, answered = fmt.Sprintf("set %s %s", operation.Key, operation.Value), "done"
	case "cas":
		asked = fmt.Sprintf("cas %s %s to %s", operation.Key, orNone(operation.Expect), operation.Value)
		answered = fmt.Sprint(outcome.Done)
	default:
		asked, answered = operation.Op+" "+operation.Key, orNone(outcome.Value)
	}
	if !outcome.Known {
		answered = "unknown"
	}
	return asked + " → " + answered
}

func orNone(value *string) string {
	if value == nil {
		return "nothing"
	}
	return *value
}
