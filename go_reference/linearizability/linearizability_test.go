package linearizability

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// line is an operation of a history, called and returned at these times; a negative return is
// an unknown outcome.
func line(client int, call, ret int, rest string) string {
	returned := fmt.Sprint(ret)
	if ret < 0 {
		returned = "null"
	}
	return fmt.Sprintf(`{"client": %d, "call_ns": %d, "return_ns": %s, %s}`, client, call, returned, rest)
}

func set(key, value string) string {
	return fmt.Sprintf(`"op": "set", "key": %q, "value": %q, "result": null`, key, value)
}

func get(key, result string) string {
	return fmt.Sprintf(`"op": "get", "key": %q, "result": %s`, key, result)
}

func cas(key, expect, value, result string) string {
	return fmt.Sprintf(`"op": "cas", "key": %q, "expect": %s, "value": %q, "result": %s`, key, expect, value, result)
}

// history reads lines, and fails the test if they are none.
func history(t *testing.T, lines ...string) []porcupine.Operation {
	t.Helper()
	read, err := ReadHistory(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  porcupine.CheckResult
	}{
		"nothing happened": {nil, porcupine.Ok},
		"what was set is read": {[]string{
			line(0, 0, 10, set("k", "1")),
			line(1, 20, 30, get("k", `"1"`)),
		}, porcupine.Ok},
		"a key that nobody set has no value": {[]string{
			line(0, 0, 10, set("k", "1")),
			line(1, 20, 30, get("other", "null")),
		}, porcupine.Ok},
		"a read beside a set may see either": {[]string{
			line(0, 0, 30, set("k", "1")),
			line(1, 10, 20, get("k", "null")),
			line(2, 10, 20, get("k", `"1"`)),
		}, porcupine.Ok},
		"a stale read": {[]string{
			line(0, 0, 10, set("k", "1")),
			line(0, 20, 30, set("k", "2")),
			line(1, 40, 50, get("k", `"1"`)),
		}, porcupine.Illegal},
		"a stale read without a log entry": {[]string{
			line(0, 0, 10, set("k", "1")),
			line(1, 20, 30, `"op": "read", "key": "k", "result": null`),
		}, porcupine.Illegal},
		"time goes back between two reads beside a set": {[]string{
			line(0, 0, 50, set("k", "1")),
			line(1, 10, 20, get("k", `"1"`)),
			line(1, 30, 40, get("k", "null")),
		}, porcupine.Illegal},
		"a value out of nowhere": {[]string{
			line(0, 0, 10, get("k", `"7"`)),
		}, porcupine.Illegal},
		"each key is right, and in turn": {[]string{
			line(0, 0, 10, set("a", "1")),
			line(0, 20, 30, set("b", "2")),
			line(1, 40, 50, get("a", `"1"`)),
			line(1, 60, 70, get("b", `"2"`)),
		}, porcupine.Ok},
		"an unknown set takes effect late": {[]string{
			line(0, 0, -1, set("k", "1")),
			line(1, 20, 30, get("k", "null")),
			line(1, 40, 50, get("k", `"1"`)),
		}, porcupine.Ok},
		"an unknown set never takes effect": {[]string{
			line(0, 0, -1, set("k", "1")),
			line(1, 20, 30, get("k", "null")),
			line(1, 40, 50, get("k", "null")),
		}, porcupine.Ok},
		"an unknown set takes effect twice": {[]string{
			line(0, 0, -1, set("k", "1")),
			line(1, 20, 30, get("k", `"1"`)),
			line(1, 40, 50, set("k", "2")),
			line(1, 60, 70, get("k", `"1"`)),
		}, porcupine.Illegal},
		"an unknown set takes effect before its call": {[]string{
			line(1, 20, 30, get("k", `"1"`)),
			line(0, 40, -1, set("k", "1")),
		}, porcupine.Illegal},
		"cas": {[]string{
			line(0, 0, 10, cas("k", "null", "1", "true")),
			line(0, 20, 30, cas("k", "null", "2", "false")),
			line(0, 40, 50, cas("k", `"1"`, "3", "true")),
			line(0, 60, 70, get("k", `"3"`)),
		}, porcupine.Ok},
		"two cas find the same value": {[]string{
			line(0, 0, 30, cas("k", "null", "1", "true")),
			line(1, 10, 20, cas("k", "null", "2", "true")),
		}, porcupine.Illegal},
		"a cas fails though it finds what it expects": {[]string{
			line(0, 0, 10, set("k", "1")),
			line(1, 20, 30, cas("k", `"1"`, "2", "false")),
		}, porcupine.Illegal},
		"an empty value is a value": {[]string{
			line(0, 0, 10, set("k", "")),
			line(1, 20, 30, cas("k", "null", "2", "true")),
		}, porcupine.Illegal},
		"an unknown cas writes": {[]string{
			line(0, 0, 10, set("k", "1")),
			line(1, 20, -1, cas("k", `"1"`, "2", "null")),
			line(0, 40, 50, get("k", `"2"`)),
		}, porcupine.Ok},
		"an unknown cas writes though it finds another value": {[]string{
			line(0, 0, 10, set("k", "1")),
			line(1, 20, -1, cas("k", `"0"`, "2", "null")),
			line(0, 40, 50, get("k", `"2"`)),
		}, porcupine.Illegal},
	} {
		t.Run(name, func(t *testing.T) {
			verdict := Check(history(t, c.lines...), time.Minute)
			if verdict.Result != c.want {
				t.Errorf("%v, not %v", verdict.Result, c.want)
			}
		})
	}
}

func TestAViolationNamesItsKeyAndIsDrawn(t *testing.T) {
	verdict := Check(history(t,
		line(0, 0, 10, set("good", "1")),
		line(0, 20, 30, set("bad", "1")),
		line(1, 40, 50, get("bad", "null")),
		line(1, 60, -1, cas("bad", `"1"`, "2", "null")),
	), time.Minute)
	if verdict.Violated != "bad" || verdict.Keys != 2 || verdict.Operations != 4 {
		t.Errorf("%+v", verdict)
	}
	var picture bytes.Buffer
	if err := porcupine.Visualize(Model, verdict.Info, &picture); err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{"set bad 1 → done", "get bad → nothing", "cas bad 1 to 2 → unknown"} {
		if !strings.Contains(picture.String(), said) {
			t.Errorf("the picture does not show %q", said)
		}
	}
}

// A violation that takes all subsets of many unknown sets to prove.
func TestWhatIsNotDecidedInTimeIsUnknown(t *testing.T) {
	var lines []string
	for n := range 60 {
		lines = append(lines, line(n, n, -1, set("k", fmt.Sprint(n))))
	}
	lines = append(lines, line(60, 100, 110, get("k", `"never set"`)))
	if verdict := Check(history(t, lines...), time.Millisecond); verdict.Result != porcupine.Unknown {
		t.Errorf("%v", verdict.Result)
	}
}

func TestWhatIsNoHistoryIsRefused(t *testing.T) {
	for _, wrong := range []string{
		"1", "{}", "\n", line(0, 0, 1, `"op": "delete", "key": "k", "result": null`),
		line(0, 0, 1, `"op": "", "key": "k", "result": null`), line(0, 2, 1, set("k", "1")),
		line(0, 0, 1, `"op": "set", "key": "k", "result": null`),
		line(0, 0, 1, `"op": "get", "key": "k", "value": "1", "result": null`),
		line(0, 0, 1, `"op": "get", "key": "k"`), line(0, 0, 1, get("k", "1")),
		line(0, 0, 1, cas("k", "null", "1", `"true"`)), line(0, 0, 1, set("k", "1")+`, "x": 1`),
	} {
		_, err := ReadHistory(strings.NewReader(line(0, 0, 1, set("k", "1")) + "\n" + wrong))
		if err == nil || !strings.HasPrefix(err.Error(), "line 2 ") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
