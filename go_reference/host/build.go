package host

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"

	"raftmark/raft"
)

// describeRuntime returns what hello tells of the runtime: how the program was built and what the
// runtime is set to, which no version says.
func describeRuntime() goRuntime {
	settings := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(settings)
	return goRuntime{
		Name:       "go",
		Version:    runtime.Version(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		GOGC:       settings[0].Value.Uint64(),
		GOMEMLIMIT: settings[1].Value.Uint64(),
		Sync:       raft.SyncedBy,
		Build:      buildSettings(),
	}
}

// buildSettings returns the flags and variables of the build, as `go version -m` shows them, without
// paths, which name places and people.
func buildSettings() map[string]string {
	found := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return found
	}
	for _, setting := range info.Settings {
		if !strings.Contains(setting.Value, "/") {
			found[setting.Key] = setting.Value
		}
	}
	return found
}
