package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
)

// pattern is bytes that tell their own offset.
func pattern(offset uint64, count int) []byte {
	data := make([]byte, count)
	for n := range data {
		at := offset + uint64(n)
		data[n] = byte(at ^ at>>8 ^ at>>16)
	}
	return data
}

func readAll(t *testing.T, r *Reader) (from uint64, data []byte) {
	t.Helper()
	buffer := make([]byte, 7001)
	for first := true; ; first = false {
		offset, count, err := r.Next(t.Context(), buffer)
		if errors.Is(err, io.EOF) {
			return from, data
		}
		if err != nil {
			t.Fatal(err)
		}
		if first {
			from = offset
		} else if offset != from+uint64(len(data)) {
			t.Fatalf("chunk at offset %d after %d bytes from %d", offset, len(data), from)
		}
		data = append(data, buffer[:count]...)
	}
}

func TestOutputKeepsTheLastBytesWhileNobodyReads(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	o := newOutput()
	written := uint64(0)
	for written < 3*Kept+12345 {
		count := random.IntN(100_000)
		o.Append(pattern(written, count))
		written += uint64(count)
	}
	o.Close()
	for _, offset := range []uint64{written - Kept, written - 1, written} {
		r, err := o.ReadFrom(offset)
		if err != nil {
			t.Fatalf("from %d of %d: %v", offset, written, err)
		}
		_, data := readAll(t, r)
		if !bytes.Equal(data, pattern(offset, int(written-offset))) {
			t.Errorf("from %d: %d bytes that differ from what was written", offset, len(data))
		}
		r.Close()
	}
	if _, err := o.ReadFrom(written - Kept - 1); !errors.Is(err, errLost) {
		t.Errorf("from one byte before what is kept: %v", err)
	}
	if _, err := o.ReadFrom(written + 1); !errors.Is(err, errFuture) {
		t.Errorf("from beyond the end: %v", err)
	}
}

func TestOutputIsSmallWhileLittleIsWritten(t *testing.T) {
	o := newOutput()
	o.Append([]byte("hello\n"))
	if o.Size() > smallestRing {
		t.Errorf("%d bytes held for 6", o.Size())
	}
	o.Append(make([]byte, 10*Kept))
	if o.Size() != Kept {
		t.Errorf("%d bytes held, expected %d", o.Size(), Kept)
	}
}

func TestReaderHoldsTheWriterBackAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutput()
		r, err := o.ReadFrom(0)
		if err != nil {
			t.Fatal(err)
		}
		appended := false
		go func() {
			o.Append(pattern(0, Kept+5))
			appended = true
			o.Close()
		}()
		synctest.Wait()
		if appended {
			t.Fatal("a write beyond what is kept did not wait for the reader")
		}
		if _, count, err := r.Next(t.Context(), make([]byte, 4)); count != 4 || err != nil {
			t.Fatal(count, err)
		}
		synctest.Wait()
		if appended {
			t.Fatal("a write of 5 bytes more went on after 4 were read")
		}
		from, data := readAll(t, r)
		if from != 4 || !bytes.Equal(data, pattern(4, Kept+1)) {
			t.Errorf("%d bytes from %d", len(data), from)
		}
	})
}

func TestWriterGoesOnWhenItsReaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutput()
		r, err := o.ReadFrom(0)
		if err != nil {
			t.Fatal(err)
		}
		appended := false
		go func() {
			o.Append(make([]byte, 3*Kept))
			appended = true
		}()
		synctest.Wait()
		r.Close()
		synctest.Wait()
		if !appended {
			t.Error("the writer still waits")
		}
	})
}

func TestReaderStopsWaitingWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutput()
		r, err := o.ReadFrom(0)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var got error
		go func() { _, _, got = r.Next(ctx, make([]byte, 1)) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !errors.Is(got, context.Canceled) {
			t.Errorf("got %v", got)
		}
	})
}
