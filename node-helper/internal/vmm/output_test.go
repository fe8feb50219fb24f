package vmm

import (
	"errors"
	"strings"
	"testing"
)

func TestOutputKeepsTheEndOfWhatWasSaid(t *testing.T) {
	o := &Output{}
	for range 3 {
		if _, err := o.Write([]byte(strings.Repeat("x", 500) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Write([]byte("the\x1b[31m reason\xff\n")); err != nil {
		t.Fatal(err)
	}
	got := o.String()
	if !strings.HasSuffix(got, " the [31m reason?") || len(got) > keptOutput || len(got) < keptOutput/2 {
		t.Errorf("%d bytes, %q", len(got), got)
	}
}

func TestNobodyListensToATalkativeVMMForEver(t *testing.T) {
	o := &Output{}
	line := []byte(strings.Repeat("x", 1000))
	var err error
	for lines := 0; err == nil; lines++ {
		if lines > maxOutput/len(line) {
			t.Fatal("it is listened to without end")
		}
		_, err = o.Write(line)
	}
	if !errors.Is(err, errTalkative) {
		t.Error(err)
	}
}
