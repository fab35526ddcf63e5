package raft

import (
	"errors"
	"fmt"
)

// A Code says why a cluster did not do what it was asked, in docs/protocol.md's words.
type Code string

// The codes.
const (
	// BadRequest: malformed, out of range, or not possible in this state; nothing was changed.
	BadRequest Code = "bad_request"
	// NotLeader: the node is not the leader; nothing was proposed.
	NotLeader Code = "not_leader"
	// Lost: another leader's entry took the command's index; it will not be applied there.
	Lost Code = "lost"
	// OutcomeUnknown: the command may or may not be applied; the answer did not come in time.
	OutcomeUnknown Code = "timeout"
	// Unavailable: no leader is known, the node is down, or no cluster runs; nothing was proposed.
	Unavailable Code = "unavailable"
	// Internal: a fault of the program's own.
	Internal Code = "internal"
)

// An Error is an answer other than success.
type Error struct {
	Code    Code
	Message string
	Leader  NodeID // with NotLeader: the leader as far as known
}

// Errorf returns an error whose message is formatted as by [fmt.Sprintf].
func Errorf(code Code, format string, arguments ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// NotTheLeader is the error for a command that came to a node other than the leader.
func NotTheLeader(leader NodeID) *Error {
	message := "not the leader, nor is one known"
	if leader != 0 {
		message = fmt.Sprintf("node %d is the leader", leader)
	}
	return &Error{NotLeader, message, leader}
}

func (e *Error) Error() string { return e.Message }

// AsError is an outcome's error as one with a code.
func AsError(err error) *Error {
	known := &Error{}
	if !errors.As(err, &known) {
		known = Errorf(Internal, "%v", err)
	}
	return known
}
