package main

import "testing"

const runs = 200

func TestAChannelLeavesOneOutcome(t *testing.T) {
	if got := count(synchronised, runs); got["a = 4, b = 2"] != runs {
		t.Errorf("%v", got)
	}
}

func TestThoseWhoAreJoinedCountInOrder(t *testing.T) {
	if got := count(joined, runs); got["in order"] != runs {
		t.Errorf("%v", got)
	}
}

// Which of them come, and how often, is what the program is there to show.
func TestWithoutSynchronisationEveryOutcomeIsOneOfAnInterleaving(t *testing.T) {
	// One multiplies before, amid or after what the other does: b is 1·2, or 4·2 with the new a.
	allowed := map[string]bool{"a = 4, b = 2": true, "a = 4, b = 8": true}
	for outcome := range count(unsynchronised, runs) {
		if !allowed[outcome] {
			t.Errorf("%s", outcome)
		}
	}
}

func TestWhatIsAskedWronglyIsRefused(t *testing.T) {
	for _, arguments := range [][]string{{}, {"sleeping"}, {"joined", "--runs", "0"}, {"joined", "1"}, {"joined", "--runs", "x"}} {
		if perform(arguments) == nil {
			t.Errorf("%v is performed", arguments)
		}
	}
}
