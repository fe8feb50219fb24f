package process

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Kept is how many bytes of each stream can be read again.
const Kept = 1 << 20

const smallestRing = 4 << 10

var (
	errLost   = errors.New("bytes from this offset on are no longer kept")
	errFuture = errors.New("the offset lies beyond what was written")
)

// Output is one output stream of a process: everything it wrote is numbered, the last Kept bytes are kept.
//
// While readers are attached, nothing that one of them still has to read is overwritten: Append blocks, the process's
// pipe fills and the process waits, as it would for any slow reader of a pipe. Without a reader the process never waits
// and old bytes are lost. Safe for concurrent use.
type Output struct {
	mu      sync.Mutex
	changed sync.Cond
	// Byte number n lies at ring[n % len(ring)]. Grows with need: most processes write little, and many ended ones are kept.
	ring       []byte
	start, end uint64
	closed     bool
	readers    map[*Reader]struct{}
}

// Reader is one attachment's place in an Output. For one goroutine at a time.
type Reader struct {
	output   *Output
	position uint64
}

func newOutput() *Output {
	o := &Output{readers: make(map[*Reader]struct{})}
	o.changed.L = &o.mu
	return o
}

// Append blocks while a reader needs the room.
func (o *Output) Append(data []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(data) > 0 {
		room := o.room()
		if room == 0 {
			o.changed.Wait()
			continue
		}
		count := min(len(data), room)
		o.grow(int(o.end-o.start) + count)
		o.put(data[:count])
		data = data[count:]
		o.changed.Broadcast()
	}
}

// Close says that no byte will follow.
func (o *Output) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.changed.Broadcast()
}

// Size is the memory held, in bytes.
func (o *Output) Size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.ring)
}

// ReadFrom attaches a reader at an offset. The reader holds the process back until it is closed.
func (o *Output) ReadFrom(offset uint64) (*Reader, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if offset < o.start {
		return nil, errLost
	}
	if offset > o.end {
		return nil, errFuture
	}
	r := &Reader{output: o, position: offset}
	o.readers[r] = struct{}{}
	return r, nil
}

// Next fills the buffer with what follows, waiting for at least a byte. It ends with io.EOF or the context's error.
func (r *Reader) Next(ctx context.Context, buffer []byte) (offset uint64, count int, err error) {
	o := r.output
	wake := context.AfterFunc(ctx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.changed.Broadcast()
	})
	defer wake()
	o.mu.Lock()
	defer o.mu.Unlock()
	for r.position == o.end && !o.closed && ctx.Err() == nil {
		o.changed.Wait()
	}
	if ctx.Err() != nil {
		return 0, 0, ctx.Err()
	}
	if r.position == o.end {
		return 0, 0, io.EOF
	}
	offset = r.position
	for count < len(buffer) && r.position < o.end {
		from := r.position % uint64(len(o.ring))
		until := min(from+(o.end-r.position), uint64(len(o.ring)))
		copied := copy(buffer[count:], o.ring[from:until])
		count += copied
		r.position += uint64(copied)
	}
	o.changed.Broadcast()
	return offset, count, nil
}

// Close lets the process go on without this reader.
func (r *Reader) Close() {
	r.output.mu.Lock()
	defer r.output.mu.Unlock()
	delete(r.output.readers, r)
	r.output.changed.Broadcast()
}

// room is how many bytes may be put now.
func (o *Output) room() int {
	room := Kept
	for r := range o.readers {
		room = min(room, Kept-int(o.end-r.position))
	}
	return room
}

func (o *Output) grow(need int) {
	need = min(need, Kept)
	if need <= len(o.ring) {
		return
	}
	size := max(len(o.ring), smallestRing)
	for size < need {
		size *= 2
	}
	ring := make([]byte, size)
	for n := o.start; n < o.end; {
		from := n % uint64(len(o.ring))
		until := min(from+(o.end-n), uint64(len(o.ring)))
		n += uint64(place(ring, n, o.ring[from:until]))
	}
	o.ring = ring
}

func (o *Output) put(data []byte) {
	for len(data) > 0 {
		placed := place(o.ring, o.end, data)
		o.end += uint64(placed)
		data = data[placed:]
	}
	if o.end-o.start > uint64(len(o.ring)) {
		o.start = o.end - uint64(len(o.ring))
	}
}

// place copies data to where byte number n lies, up to the ring's edge.
func place(ring []byte, n uint64, data []byte) int {
	return copy(ring[n%uint64(len(ring)):], data)
}
