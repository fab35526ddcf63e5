// Command linearizable checks a history of a key-value store's clients, JSON Lines as
// [linearizability.ReadHistory] has them.
//
// It prints a line of JSON with the verdict (ok, violation, or unknown after the time limit),
// and on a violation writes a picture of it, an HTML file. It exits with 0, 1 or 3 for these
// verdicts, and with 2 when it cannot check.
package main

import (
	"encoding/json/v2"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"

	"raftmark/linearizability"
)

// An answer is the line that is printed.
type answer struct {
	Verdict    string  `json:"verdict"`
	Operations int     `json:"operations"`
	Keys       int     `json:"keys"`
	Key        string  `json:"key,omitzero"`
	Seconds    float64 `json:"seconds"`
}

var verdicts = map[porcupine.CheckResult]struct {
	name   string
	status int
}{
	porcupine.Ok:      {"ok", 0},
	porcupine.Illegal: {"violation", 1},
	porcupine.Unknown: {"unknown", 3},
}

func main() {
	limit := flag.Duration("limit", time.Minute, "how long a check may take")
	picture := flag.String("picture", "", "the HTML file to write on a violation")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: linearizable [-limit DURATION] [-picture FILE] HISTORY")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 || *limit <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	status, err := check(flag.Arg(0), *limit, *picture)
	if err != nil {
		fmt.Fprintln(os.Stderr, "linearizable:", err)
		os.Exit(2)
	}
	os.Exit(status)
}

// check checks the history in a file, and returns the exit status for its verdict.
func check(path string, limit time.Duration, picture string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	history, err := linearizability.ReadHistory(file)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	started := time.Now()
	v := linearizability.Check(history, limit)
	verdict := verdicts[v.Result]
	seconds := time.Since(started).Seconds()
	if picture != "" && v.Result == porcupine.Illegal {
		if err := porcupine.VisualizePath(linearizability.Model, v.Info, picture); err != nil {
			return 0, err
		}
	}
	line, err := json.Marshal(answer{verdict.name, v.Operations, v.Keys, v.Violated, seconds})
	if err == nil {
		_, err = fmt.Printf("%s\n", line)
	}
	return verdict.status, err
}
