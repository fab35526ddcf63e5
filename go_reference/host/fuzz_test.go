package host

import (
	"bytes"
	"encoding/json/v2"
	"io"
	"testing"
	"time"

	"raftmark/raft"
)

// Whatever a line is, a host without a cluster answers it once, and what a field's check
// lets pass keeps to docs/protocol.md.
func FuzzRequest(f *testing.F) {
	for _, line := range []string{
		`{"id": 1, "op": "hello"}`,
		`{"id": 9007199254740991, "op": "submit", "command": {"op": "cas", "key": "k", "expect": null, "value": "é"}, "client": "c", "serial": 1, "timeout_ms": 0.5}`,
		`{"id": 1, "op": "partition", "groups": [[1, 2], [3]]}`,
		`{"id": 1, "op": "links", "drop": 1e-3, "duplicate": 1, "delay_ms": [0, 60000]}`,
		`{"id": 1, "op": "log", "node": 3, "from": 1, "to": 9007199254740991}`,
		`{"id": 1, "op": "run", "workload": {"name": "replicate", "duration_s": 0.1}}`,
		`{"id": 1, "op": "hello", "op": "hello"}`,
		`{"id": 1, "op": "hello", "op": "quit"}`,
		`{"id": 1, "op": "\ud800"}`,
		`{"id": 1e999, "op": "status"}`,
		"{\"id\": 1, \"op\": \"\xff\"}",
		"[[[[[[[[[[[[[[[[",
		"\xef\xbb\xbf{}",
		"",
	} {
		f.Add([]byte(line))
	}
	nodes := []raft.NodeID{1, 2, 3}
	f.Fuzz(func(t *testing.T, line []byte) {
		var out bytes.Buffer
		h := &host{service: &service{out: newOutput(&out, func(error) {}), warn: io.Discard}}
		h.service.find = h.find
		r, err := parseRequest(line)
		if err == nil && r.op == "start" {
			h.out.close()
			return // It would start a cluster, and on whatever path the line names.
		}
		h.answer(line)
		h.out.close()
		var reply answer
		if err := json.Unmarshal(out.Bytes(), &reply, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("answered %q: %v", out.Bytes(), err)
		}
		if (reply.OK == nil) == (reply.Error == nil) {
			t.Fatalf("neither answer nor error, or both: %s", out.Bytes())
		}
		if err != nil && reply.Error.Code != string(raft.BadRequest) {
			t.Errorf("answered %q", out.Bytes())
		}
		fields, err := parse(line)
		if err != nil {
			return
		}
		for _, raw := range fields.unread {
			if value, err := integer(-5, 5)(raw); err == nil && (value < -5 || value > 5) {
				t.Errorf("%s passed for an integer", raw)
			}
			if value, err := number(0, 1)(raw); err == nil && !(value >= 0 && value <= 1) {
				t.Errorf("%s passed for a number", raw)
			}
			if value, err := duration(0, 60_000, time.Millisecond)(raw); err == nil && (value < 0 || value > time.Minute) {
				t.Errorf("%s passed for a duration", raw)
			}
			if value, err := span(1, 60_000)(raw); err == nil && (value.Low > value.High || value.Low < time.Millisecond) {
				t.Errorf("%s passed for a range", raw)
			}
			if value, err := text(1, 9)(raw); err == nil && (len(value) < 1 || len(value) > 9) {
				t.Errorf("%s passed for a text", raw)
			}
			if value, err := path(raw); err == nil && bytes.IndexByte([]byte(value), 0) >= 0 {
				t.Errorf("%s passed for a path", raw)
			}
			if value, err := groups(nodes)(raw); err == nil {
				checkGroups(t, value)
			}
			if value, err := command(raw); err == nil {
				checkCommand(t, value)
			}
		}
	})
}

func checkGroups(t *testing.T, groups [][]raft.NodeID) {
	t.Helper()
	seen := map[raft.NodeID]bool{}
	for _, group := range groups {
		for _, member := range group {
			if member < 1 || member > 3 || seen[member] {
				t.Errorf("%v passed for groups", groups)
			}
			seen[member] = true
		}
	}
}

// checkCommand checks that a command, as the log shows it, is read as the same again.
func checkCommand(t *testing.T, passed *raft.Command) {
	t.Helper()
	shown, err := json.Marshal(describeCommand(passed))
	if err != nil {
		t.Fatal(err)
	}
	again, err := command(shown)
	if err != nil {
		t.Fatalf("%s is no command: %v", shown, err)
	}
	if text, err := json.Marshal(describeCommand(again)); err != nil || !bytes.Equal(text, shown) {
		t.Errorf("%s was read as %s", shown, text)
	}
}

// However long lines are and however they end, a reader gives out each whole one.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n"), uint(3))
	f.Add([]byte("a\nLONG\nb\n"), uint(3))
	f.Add([]byte("no newline"), uint(1))
	f.Add(bytes.Repeat([]byte("x"), maxLine), uint(1))
	f.Add(append(bytes.Repeat([]byte("x"), maxLine-1), "\ny\n"...), uint(0))
	f.Fuzz(func(t *testing.T, stream []byte, longer uint) {
		// Mutated input stays short, so that it is stretched here.
		stream = bytes.ReplaceAll(stream, []byte("LONG"), bytes.Repeat([]byte("x"), maxLine-2+int(longer%4)))
		reader := newLineReader(bytes.NewReader(stream))
		rest := stream
		for {
			line, err := reader.next()
			if err == io.EOF {
				if bytes.IndexByte(rest, '\n') >= 0 {
					t.Errorf("%d bytes were left", len(rest))
				}
				return
			}
			end := bytes.IndexByte(rest, '\n') + 1
			if long := end > maxLine; (err == errLineTooLong) != long {
				t.Fatalf("a line of %d bytes gave the error %v", end, err)
			}
			if err == nil && !bytes.Equal(line, rest[:end]) {
				t.Fatalf("read %q of %q", line, rest[:end])
			}
			rest = rest[end:]
		}
	})
}
