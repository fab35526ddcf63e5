package host

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"raftmark/raft"
)

// What the fields of a node program's requests may hold, beside what a contender's may.

const maxAddressBytes = 64

// anyCommand is a client's, or a change of members.
func anyCommand(raw jsontext.Value) (*raft.Command, error) {
	f, err := object(raw)
	if err != nil {
		return nil, err
	}
	change := choice(string(raft.AddServer), string(raft.RemoveServer))
	op, err := change(f.unread["op"])
	if err != nil {
		return command(raw)
	}
	delete(f.unread, "op")
	key := required(f, "key", choice(serverKeys...))
	if err := f.end(); err != nil {
		return nil, fmt.Errorf("is wrong: %w", err)
	}
	return &raft.Command{Op: raft.Op(op), Key: key}, nil
}

// serverKeys are the numbers of servers as keys.
var serverKeys = func() (keys []string) {
	for _, id := range numbered(maxNodes) {
		keys = append(keys, strconv.Itoa(int(id)))
	}
	return keys
}()

// ascending are servers, at least one, in ascending order.
func ascending(raw jsontext.Value) ([]raft.NodeID, error) {
	servers, err := list(server())(raw)
	sorted := slices.IsSorted(servers) && len(slices.Compact(slices.Clone(servers))) == len(servers)
	if err != nil || len(servers) == 0 || !sorted {
		return nil, fmt.Errorf("must be nodes from 1 to %d in ascending order", maxNodes)
	}
	return servers, nil
}

// addresses are those of nodes, by number.
func addresses(raw jsontext.Value) (map[raft.NodeID]string, error) {
	var texts map[string]jsontext.Value
	if raw.Kind() != '{' || json.Unmarshal(raw, &texts) != nil {
		return nil, fmt.Errorf("must be an object of addresses by node")
	}
	known := map[raft.NodeID]string{}
	for key, value := range texts {
		id, err := server()(jsontext.Value(key))
		if err != nil || !slices.Contains(serverKeys, key) {
			return nil, fmt.Errorf("must have as names nodes from 1 to %d", maxNodes)
		}
		if known[id], err = addressWithPort(1)(value); err != nil {
			return nil, fmt.Errorf("has for node %d what %w", id, err)
		}
	}
	return known, nil
}

// addressWithPort is an IP address and a port, which is at least low.
func addressWithPort(low uint16) check[string] {
	return func(raw jsontext.Value) (string, error) {
		value, err := text(1, maxAddressBytes)(raw)
		address, parseErr := netip.ParseAddrPort(value)
		if err != nil || parseErr != nil || address.Port() < low {
			return "", fmt.Errorf("must be like 127.0.0.1:7000 or [::1]:7000")
		}
		return value, nil
	}
}

// isLoopback reports whether an address can be reached on this machine only.
func isLoopback(address string) bool {
	parsed, err := netip.ParseAddrPort(address)
	return err == nil && parsed.Addr().IsLoopback()
}
