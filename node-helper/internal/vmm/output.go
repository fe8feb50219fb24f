package vmm

import (
	"errors"
	"strings"
	"sync"
	"unicode"
)

const (
	// A VMM that was taken over may talk without end: after so much nobody listens any more.
	maxOutput = 64 << 10
	// What is kept for the error of a start that failed.
	keptOutput = 1 << 10
)

var errTalkative = errors.New("the VMM said too much")

// Output is what a VMM says on its standard streams: its end, as far as it was listened to.
type Output struct {
	mu   sync.Mutex
	said int
	kept []byte
}

// Write fails for what is too much, upon which package exec closes the pipe. A VMM ignores that.
func (o *Output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said+len(text) > maxOutput {
		return 0, errTalkative
	}
	o.said += len(text)
	o.kept = append(o.kept, text...)
	if over := len(o.kept) - keptOutput; over > 0 {
		o.kept = append([]byte{}, o.kept[over:]...)
	}
	return len(text), nil
}

// String is one line of what can be printed.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(string(o.kept), "?"), func(r rune) bool {
		return !unicode.IsPrint(r)
	}), " ")
}
