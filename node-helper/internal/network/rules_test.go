package network

import (
	"strings"
	"testing"
)

func TestEveryChainOfTheRulesDropsWhatItDoesNotName(t *testing.T) {
	for name, render := range map[string]func() ([]byte, error){
		"gate": func() ([]byte, error) { return renderRules(gateRules, "", "") },
		"slot": func() ([]byte, error) { return renderRules(slotRules, "100.80.0.0/16", "100.80.0.7") },
	} {
		text, err := render()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "hook ") && !strings.Contains(line, "hook postrouting") && !strings.Contains(line, "policy drop;") {
				t.Errorf("%s: a chain that lets pass: %s", name, strings.TrimSpace(line))
			}
			if strings.Contains(line, "{{") || strings.Contains(line, "<no value>") {
				t.Errorf("%s: not filled in: %s", name, line)
			}
		}
	}
}

func TestGatePortsAndSlotsAreOneToOne(t *testing.T) {
	for name, want := range map[string]int{"s1": 1, "s250": 250, "s0": 0, "s01": 0, "s-1": 0, "s": 0, "lo": 0, "s1x": 0, "S1": 0, "s+1": 0} {
		got, ok := SlotOfGatePort(name)
		if ok != (want > 0) || ok && got != want {
			t.Errorf("%s: %d %v, expected %d", name, got, ok, want)
		}
	}
}
