package linearizability

import (
	"time"

	"github.com/anishathalye/porcupine"
)

// A Verdict is what a check found: Result is that of all keys together.
type Verdict struct {
	Result     porcupine.CheckResult
	Operations int
	Keys       int
	Violated   string                      // the first key with a violation
	Info       porcupine.LinearizationInfo // of that key, for a picture
}

// Check checks a history, key by key: a store is linearizable if each of its keys is. What is
// not decided within the limit is unknown.
func Check(history []porcupine.Operation, limit time.Duration) Verdict {
	deadline := time.Now().Add(limit)
	keys := Model.Partition(history)
	verdict := Verdict{Result: porcupine.Ok, Operations: len(history), Keys: len(keys)}
	for _, operations := range keys {
		// A limit of 0 would be none.
		left := max(time.Until(deadline), time.Millisecond)
		switch result, info := porcupine.CheckOperationsVerbose(Model, operations, left); result {
		case porcupine.Illegal:
			verdict.Result, verdict.Info = result, info
			verdict.Violated = operations[0].Input.(Operation).Key
			return verdict
		case porcupine.Unknown:
			verdict.Result = result
		}
	}
	return verdict
}
