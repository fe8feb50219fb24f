package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cofferdam.dev/guest-agent/internal/apitest"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
)

type handle struct {
	t      *testing.T
	stream v1.FileService_OpenFileClient
	end    context.CancelFunc
}

func opening(t *testing.T, c v1.FileServiceClient, target *v1.OpenFileTarget) (*handle, *v1.FileInfo, error) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	stream, err := c.OpenFile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Target{Target: target}})
	answer, err := stream.Recv()
	return &handle{t: t, stream: stream, end: end}, answer.GetFile(), err
}

func newHandle(t *testing.T, c v1.FileServiceClient, target *v1.OpenFileTarget) *handle {
	t.Helper()
	h, _, err := opening(t, c, target)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *handle) do(request *v1.OpenFileRequest) *v1.OpenFileResponse {
	h.t.Helper()
	if err := h.stream.Send(request); err != nil {
		h.t.Fatal(err)
	}
	answer, err := h.stream.Recv()
	if err != nil {
		h.t.Fatal(err)
	}
	return answer
}

func (h *handle) write(text string) *v1.OpenFileResponse {
	h.t.Helper()
	return h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Write{Write: []byte(text)}})
}

func (h *handle) read(length uint32) *v1.OpenFileResponse {
	h.t.Helper()
	return h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Read{Read: length}})
}

// readFully returns the sizes of the answers too.
func (h *handle) readFully(length uint32) (string, []int) {
	h.t.Helper()
	var data []byte
	var sizes []int
	for answer := h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_ReadFully{ReadFully: length}}); ; {
		part, ok := answer.GetAnswer().(*v1.OpenFileResponse_Data)
		if !ok {
			h.t.Fatalf("no data: %v", answer)
		}
		data, sizes = append(data, part.Data...), append(sizes, len(part.Data))
		if len(part.Data) == 0 || len(data) == int(length) {
			return string(data), sizes
		}
		var err error
		if answer, err = h.stream.Recv(); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *handle) seek(offset int64, origin v1.SeekOrigin) *v1.OpenFileResponse {
	h.t.Helper()
	return h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Seek{Seek: &v1.FileSeek{Offset: offset, Origin: origin}}})
}

func (h *handle) lock(exclusive bool) *v1.OpenFileRequest {
	return &v1.OpenFileRequest{Message: &v1.OpenFileRequest_Lock{Lock: &v1.FileLock{Exclusive: exclusive}}}
}

func TestAnOpenFileDoesAsItIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	h := newHandle(t, newClient(t), &v1.OpenFileTarget{Path: path, Read: true, Write: true, Create: true, Mode: 0o666})
	if at := h.write("0123456789").GetPosition(); at != 10 {
		t.Error(at)
	}
	for _, seek := range []struct {
		offset   int64
		origin   v1.SeekOrigin
		position uint64
	}{{2, v1.SeekOrigin_SEEK_ORIGIN_START, 2}, {3, v1.SeekOrigin_SEEK_ORIGIN_POSITION, 5}, {-4, v1.SeekOrigin_SEEK_ORIGIN_END, 6}} {
		if at := h.seek(seek.offset, seek.origin).GetPosition(); at != seek.position {
			t.Errorf("%v: %d", seek, at)
		}
	}
	if data := h.read(100).GetData(); string(data) != "6789" {
		t.Errorf("%q", data)
	}
	if answer, ok := h.read(100).GetAnswer().(*v1.OpenFileResponse_Data); !ok || len(answer.Data) != 0 {
		t.Error("the end is no data, and no failure")
	}
	info := h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Truncate{Truncate: 4}}).GetFile()
	if info.GetSize() != 4 || info.GetMode() != 0o666 || info.GetPath() != path {
		t.Error(info)
	}
	when := timestamppb.New(time.Unix(1_200_000_000, 0))
	info = h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Times{Times: &v1.FileTimes{ModifyTime: when}}}).GetFile()
	if !info.GetModifyTime().AsTime().Equal(when.AsTime()) {
		t.Error(info)
	}
	for _, dataOnly := range []bool{true, false} {
		if h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Sync{Sync: &v1.FileSync{DataOnly: dataOnly}}}).GetFile() == nil {
			t.Error("not written to the disk")
		}
	}
	// What the path names meanwhile is another's affair.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if info := h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Stat{Stat: &v1.FileStat{}}}).GetFile(); info.GetLinks() != 0 || info.GetSize() != 4 {
		t.Error(info)
	}
}

func TestAFullReadComesInPartsUntilItIsWhole(t *testing.T) {
	var text strings.Builder
	for i := 0; text.Len() < 3*maxChunk; i++ {
		fmt.Fprintf(&text, "%d ", i)
	}
	content := text.String()[:2*maxChunk+1000]
	h := newHandle(t, newClient(t), &v1.OpenFileTarget{Path: plain(t, content), Read: true})
	for _, read := range []struct {
		length uint32
		data   string
		sizes  []int
	}{
		{10, content[:10], []int{10}},
		{maxChunk + 10, content[10 : maxChunk+20], []int{maxChunk, 10}},
		{maxReadFully, content[maxChunk+20:], []int{maxChunk, 980, 0}},
		{1, "", []int{0}},
	} {
		if data, sizes := h.readFully(read.length); data != read.data || !slices.Equal(sizes, read.sizes) {
			t.Errorf("%d: %d bytes in %v", read.length, len(data), sizes)
		}
	}
	// What comes next has its own answer.
	if at := h.seek(0, v1.SeekOrigin_SEEK_ORIGIN_POSITION).GetPosition(); at != uint64(len(content)) {
		t.Error(at)
	}
}

func TestAppendedIsAtTheEnd(t *testing.T) {
	c := newClient(t)
	path := plain(t, "first ")
	h := newHandle(t, c, &v1.OpenFileTarget{Path: path, Append: true})
	h.seek(0, v1.SeekOrigin_SEEK_ORIGIN_START)
	h.write("second")
	if content := contentOf(t, path); content != "first second" {
		t.Errorf("%q", content)
	}
	newHandle(t, c, &v1.OpenFileTarget{Path: path, Write: true, Truncate: true})
	if content := contentOf(t, path); content != "" {
		t.Errorf("%q", content)
	}
}

func TestAFailureLeavesTheFileOpen(t *testing.T) {
	path := plain(t, "text")
	c := newClient(t)
	h := newHandle(t, c, &v1.OpenFileTarget{Path: path, Read: true})
	for name, failed := range map[string]struct {
		answer *v1.OpenFileResponse
		reason v1.ErrorReason
	}{
		"a write to one that is read":   {h.write("x"), v1.ErrorReason_ERROR_REASON_PERMISSION_DENIED_IN_GUEST},
		"its truncation":                {h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Truncate{}}), v1.ErrorReason_ERROR_REASON_PERMISSION_DENIED_IN_GUEST},
		"a place before the first byte": {h.seek(-1, v1.SeekOrigin_SEEK_ORIGIN_START), v1.ErrorReason_ERROR_REASON_PATH_INVALID},
		"a place from nowhere":          {h.seek(1, v1.SeekOrigin_SEEK_ORIGIN_UNSPECIFIED), v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT},
		"a read of nothing":             {h.read(0), v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT},
		"a read of too much":            {h.read(maxChunk + 1), v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT},
		"a full read of nothing":        {h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_ReadFully{}}), v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT},
		"a full read of too much":       {h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_ReadFully{ReadFully: maxReadFully + 1}}), v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT},
		"no operation":                  {h.do(&v1.OpenFileRequest{}), v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT},
		"a second target":               {h.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Target{Target: &v1.OpenFileTarget{Path: path}}}), v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT},
	} {
		if failed.answer.GetFailure().GetReason() != failed.reason {
			t.Errorf("%s: %v", name, failed.answer)
		}
	}
	if data := h.read(10).GetData(); string(data) != "text" {
		t.Errorf("%q", data)
	}
	w := newHandle(t, c, &v1.OpenFileTarget{Path: path, Write: true})
	if reason := w.read(1).GetFailure().GetReason(); reason != v1.ErrorReason_ERROR_REASON_PERMISSION_DENIED_IN_GUEST {
		t.Error(reason)
	}
	if reason := w.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_ReadFully{ReadFully: 1}}).GetFailure().GetReason(); reason != v1.ErrorReason_ERROR_REASON_PERMISSION_DENIED_IN_GUEST {
		t.Error(reason)
	}
	if reason := w.write(strings.Repeat("x", maxChunk+1)).GetFailure().GetReason(); reason != v1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE {
		t.Error(reason)
	}
	if content := contentOf(t, path); content != "text" {
		t.Errorf("%q", content)
	}
}

func TestALockIsWaitedForAndEndsWithItsStream(t *testing.T) {
	c := newClient(t)
	path := plain(t, "")
	target := &v1.OpenFileTarget{Path: path, Read: true}
	holder, waiter, other := newHandle(t, c, target), newHandle(t, c, target), newHandle(t, c, target)
	holder.do(holder.lock(true))
	answered := make(chan *v1.OpenFileResponse, 1)
	go func() {
		if waiter.stream.Send(waiter.lock(true)) != nil {
			return
		}
		answer, _ := waiter.stream.Recv()
		answered <- answer
	}()
	// One that waits and is given up takes no lock later.
	if err := other.stream.Send(other.lock(false)); err != nil {
		t.Fatal(err)
	}
	other.end()
	select {
	case answer := <-answered:
		t.Fatalf("two have the lock: %v", answer)
	default:
	}
	holder.end()
	if answer := <-answered; answer.GetFile() == nil {
		t.Fatalf("the lock went with its stream, and yet: %v", answer)
	}
	waiter.do(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Unlock{Unlock: &v1.FileUnlock{}}})
	first, second := newHandle(t, c, target), newHandle(t, c, target)
	if first.do(first.lock(false)).GetFile() == nil || second.do(second.lock(false)).GetFile() == nil {
		t.Error("two that only read may both have it")
	}
}

func TestWhatCannotBeOpenedIsRefused(t *testing.T) {
	c := newClient(t)
	path := plain(t, "x")
	root := filepath.Dir(path)
	if err := syscall.Mkfifo(root+"/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	for name, refused := range map[string]struct {
		target *v1.OpenFileTarget
		code   codes.Code
		reason string
	}{
		"nothing":                 {&v1.OpenFileTarget{Path: root + "/none", Read: true}, codes.NotFound, "FILE_NOT_FOUND"},
		"a directory":             {&v1.OpenFileTarget{Path: root, Read: true}, codes.FailedPrecondition, "IS_A_DIRECTORY"},
		"a FIFO":                  {&v1.OpenFileTarget{Path: root + "/fifo", Read: true}, codes.InvalidArgument, "PATH_INVALID"},
		"a FIFO without a reader": {&v1.OpenFileTarget{Path: root + "/fifo", Write: true}, codes.InvalidArgument, "PATH_INVALID"},
		"a device":                {&v1.OpenFileTarget{Path: "/dev/zero", Read: true}, codes.InvalidArgument, "PATH_INVALID"},
		"for no purpose":          {&v1.OpenFileTarget{Path: path}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"made to be read":         {&v1.OpenFileTarget{Path: root + "/new", Read: true, Create: true}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"emptied to append":       {&v1.OpenFileTarget{Path: path, Append: true, Truncate: true}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"made anew where it is":   {&v1.OpenFileTarget{Path: path, Write: true, CreateNew: true}, codes.AlreadyExists, "FILE_EXISTS"},
		"with a type":             {&v1.OpenFileTarget{Path: path, Read: true, Mode: 0o100644}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"by ..":                   {&v1.OpenFileTarget{Path: "/a/../b", Read: true}, codes.InvalidArgument, "PATH_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := opening(t, c, refused.target)
			apitest.Refused(t, err, refused.code, refused.reason)
		})
	}
	if content := contentOf(t, path); content != "x" {
		t.Errorf("%q", content)
	}
	stream, err := c.OpenFile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&v1.OpenFileRequest{Message: &v1.OpenFileRequest_Read{Read: 1}})
	_, err = stream.Recv()
	apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
	if names := entries(t, root); len(names) != 2 {
		t.Errorf("left: %v", names)
	}
}
