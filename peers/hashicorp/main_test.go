package main

import (
	"testing"

	"raftmark/peers/adapter/proving"
)

func TestItIsANode(t *testing.T) {
	for name, arguments := range map[string][]string{"as it is": nil, "tuned": {"--tuned"}} {
		t.Run(name, func(t *testing.T) {
			model, err := form(arguments)
			if err != nil {
				t.Fatal(err)
			}
			proving.Prove(t, model.Deploy)
		})
	}
}

func TestThereAreNoOtherForms(t *testing.T) {
	if _, err := form([]string{"--fast"}); err == nil {
		t.Error("--fast is taken")
	}
}
