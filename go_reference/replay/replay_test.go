package replay

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const kept = "../../raftmark/replay/recording.msgpack.gz"

func TestTheCoreFollowsItsTwinsRecording(t *testing.T) {
	stories, err := Read(kept)
	if err != nil {
		t.Fatal(err)
	}
	// Each of three times that somebody led, 300 commands or 12 times twice 64.
	want := map[string]int{"one at a time": 3 * 300, "64 at a time": 3 * 12 * 2 * 64}
	for _, story := range stories {
		answered, err := story.replay()
		if err != nil || answered != want[story.Name] {
			t.Errorf("%s: %d commands, %v; want %d", story.Name, answered, err, want[story.Name])
		}
		delete(want, story.Name)
	}
	if len(want) > 0 {
		t.Errorf("not recorded: %v", want)
	}
}

func TestACoreThatDoesOtherThanWhatWasRecordedIsSaid(t *testing.T) {
	stories, err := Read(kept)
	if err != nil {
		t.Fatal(err)
	}
	story := stories[0]
	story.happened = slices.DeleteFunc(slices.Clone(story.happened), func(h happening) bool {
		return h.kind == message && h.node == 2
	})
	if _, err := story.replay(); err == nil || !strings.Contains(err.Error(), "record it anew") {
		t.Errorf("without a server's messages: %v", err)
	}
}

func TestAFileThatIsNoRecordingIsRefused(t *testing.T) {
	content, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "recording")
	for name, damaged := range map[string][]byte{"torn": content[:len(content)/2], "other": []byte("mine")} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestArgumentsThatAreNoneAreRefused(t *testing.T) {
	for _, arguments := range [][]string{{}, {kept, "b"}, {kept, "--times", "-1"}, {kept, "--other"}} {
		if err := Main(arguments, os.Stdout); err == nil {
			t.Errorf("%q: no error", arguments)
		}
	}
}
