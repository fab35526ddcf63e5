package host

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"raftmark/lives"
	"raftmark/raft"
)

var dataFile = regexp.MustCompile(`^node-([1-9]\d*)\.log$`)

// membersIn are the nodes that a cluster is to start: the first voters, or where an earlier one
// has left its data, those who are to go on with it.
func membersIn(config lives.Config) ([]raft.NodeID, error) {
	firstVoters := config.Settings.Nodes
	if config.DataDir == "" {
		return firstVoters, nil
	}
	files, err := os.ReadDir(config.DataDir)
	if err != nil {
		// It is to be made, or the nodes will say what is wrong with it.
		return firstVoters, nil
	}
	saved := map[raft.NodeID]raft.Saved{}
	for _, file := range files {
		match := dataFile.FindStringSubmatch(file.Name())
		if match == nil {
			continue
		}
		id, err := strconv.Atoi(match[1])
		if err != nil {
			continue // no node has such a number
		}
		path := filepath.Join(config.DataDir, file.Name())
		if saved[raft.NodeID(id)], err = savedIn(path, firstVoters); err != nil {
			return nil, err
		}
	}
	return raft.MembersOf(saved, firstVoters), nil
}

// savedIn is what a node has left in a file. If that was begun with other voters it is refused.
func savedIn(path string, firstVoters []raft.NodeID) (raft.Saved, error) {
	saved, err := raft.NewDiskStorage(path).Read()
	if err != nil {
		return raft.Saved{}, raft.Errorf(raft.Unavailable, "%v", err)
	}
	if began := saved.FirstVoters; began != nil && !slices.Equal(began, firstVoters) {
		return raft.Saved{}, badRequest(
			"%s was begun with nodes %s, not %s: say nodes %d, or use another data_dir",
			path, listed(began), listed(firstVoters), len(began))
	}
	return saved, nil
}

// listed is nodes as a person reads them.
func listed(nodes []raft.NodeID) string {
	var texts []string
	for _, id := range nodes {
		texts = append(texts, strconv.Itoa(int(id)))
	}
	return strings.Join(texts, ", ")
}
