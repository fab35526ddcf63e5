package main

import (
	"testing"

	"raftmark/peers/adapter/proving"
)

func TestItIsANode(t *testing.T) {
	model, err := form(nil)
	if err != nil {
		t.Fatal(err)
	}
	proving.Prove(t, model.Deploy)
}

func TestThereAreNoForms(t *testing.T) {
	if _, err := form([]string{"--tuned"}); err == nil {
		t.Error("--tuned is taken")
	}
}
