package process

import "sync"

// buffers are lent to those who move output. A new one of this size is zeroed page by page, which under emulation is a
// good part of what a short process costs; one that was used before is in memory already.
var buffers = sync.Pool{New: func() any { return new([maxChunk]byte) }}

func borrow() *[maxChunk]byte { return buffers.Get().(*[maxChunk]byte) }

func giveBack(buffer *[maxChunk]byte) { buffers.Put(buffer) }
