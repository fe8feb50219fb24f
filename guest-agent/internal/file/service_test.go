package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cofferdam.dev/guest-agent/internal/apitest"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
)

func newClient(t *testing.T) v1.FileServiceClient {
	t.Helper()
	server := grpc.NewServer()
	v1.RegisterFileServiceServer(server, Service{})
	return v1.NewFileServiceClient(apitest.Serve(t, server))
}

func write(t *testing.T, c v1.FileServiceClient, target *v1.WriteFileTarget, data []byte) (*v1.WriteFileResponse, error) {
	t.Helper()
	s, err := c.WriteFile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(&v1.WriteFileRequest{Message: &v1.WriteFileRequest_Target{Target: target}})
	for len(data) > 0 {
		count := min(maxChunk, len(data))
		_ = s.Send(&v1.WriteFileRequest{Message: &v1.WriteFileRequest_Data{Data: data[:count]}})
		data = data[count:]
	}
	return s.CloseAndRecv()
}

func read(t *testing.T, c v1.FileServiceClient, request *v1.ReadFileRequest) ([]byte, error) {
	t.Helper()
	s, err := c.ReadFile(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
		if m.GetOffset() != request.GetOffset()+uint64(len(data)) || len(m.GetData()) > maxChunk {
			t.Fatalf("%d bytes at %d after %d", len(m.GetData()), m.GetOffset(), len(data))
		}
		data = append(data, m.GetData()...)
	}
}

func entries(t *testing.T, directory string) []string {
	t.Helper()
	list, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	c := newClient(t)
	path := filepath.Join(t.TempDir(), "a/b/file")
	data := bytes.Repeat([]byte("0123456789abcdef"), 50_000)
	response, err := write(t, c, &v1.WriteFileTarget{Path: path, Mode: 0o750, MakeParents: true}, data)
	if err != nil || response.GetSize() != uint64(len(data)) {
		t.Fatal(response, err)
	}
	for _, r := range []struct{ offset, length uint64 }{{0, 0}, {5, 0}, {0, 5}, {3, 100_000}, {uint64(len(data)) - 1, 9}, {uint64(len(data)), 0}, {1 << 40, 1}, {1 << 63, 0}} {
		expected := data[min(r.offset, uint64(len(data))):]
		if r.length > 0 {
			expected = expected[:min(r.length, uint64(len(expected)))]
		}
		got, err := read(t, c, &v1.ReadFileRequest{Path: path, Offset: r.offset, Length: r.length})
		if err != nil || !bytes.Equal(got, expected) {
			t.Errorf("%d bytes from %d: got %d, %v", r.length, r.offset, len(got), err)
		}
	}
	info, err := c.StatFile(t.Context(), &v1.StatFileRequest{Path: path})
	if err != nil || info.GetMode() != 0o750 || info.GetSize() != uint64(len(data)) || info.GetType() != v1.FileType_FILE_TYPE_REGULAR ||
		info.GetUid() != uint32(os.Getuid()) || info.GetPath() != path {
		t.Errorf("%v %v", info, err)
	}
	if names := entries(t, filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left beside the file: %v", names)
	}
}

func TestEmptyFileAndDefaultMode(t *testing.T) {
	c := newClient(t)
	path := filepath.Join(t.TempDir(), "empty")
	if _, err := write(t, c, &v1.WriteFileTarget{Path: path}, nil); err != nil {
		t.Fatal(err)
	}
	info, err := c.StatFile(t.Context(), &v1.StatFileRequest{Path: path})
	if err != nil || info.GetSize() != 0 || info.GetMode() != 0o644 {
		t.Errorf("%v %v", info, err)
	}
}

func TestBrokenWriteLeavesTheOldFile(t *testing.T) {
	c := newClient(t)
	directory := t.TempDir()
	path := filepath.Join(directory, "file")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A message that is not allowed ends the call in the agent before the client knows, so what it left can be looked at.
	s, err := c.WriteFile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(&v1.WriteFileRequest{Message: &v1.WriteFileRequest_Target{Target: &v1.WriteFileTarget{Path: path}}})
	_ = s.Send(&v1.WriteFileRequest{Message: &v1.WriteFileRequest_Data{Data: []byte("new")}})
	_ = s.Send(&v1.WriteFileRequest{Message: &v1.WriteFileRequest_Data{Data: make([]byte, maxChunk+1)}})
	_, err = s.CloseAndRecv()
	apitest.Refused(t, err, codes.ResourceExhausted, "MESSAGE_TOO_LARGE")
	if data, _ := os.ReadFile(path); string(data) != "old" || len(entries(t, directory)) != 1 {
		t.Errorf("%q, %v", data, entries(t, directory))
	}
}

// breaking is a stream whose client vanishes after some messages.
type breaking struct {
	grpc.ClientStreamingServer[v1.WriteFileRequest, v1.WriteFileResponse]
	messages []*v1.WriteFileRequest
}

func (b *breaking) Context() context.Context { return context.Background() }

func (b *breaking) Recv() (*v1.WriteFileRequest, error) {
	if len(b.messages) == 0 {
		return nil, status.Error(codes.Canceled, "the client is gone")
	}
	m := b.messages[0]
	b.messages = b.messages[1:]
	return m, nil
}

func TestVanishedClientLeavesTheOldFile(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "file")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Service{}.WriteFile(&breaking{messages: []*v1.WriteFileRequest{
		{Message: &v1.WriteFileRequest_Target{Target: &v1.WriteFileTarget{Path: path}}},
		{Message: &v1.WriteFileRequest_Data{Data: []byte("new")}},
	}})
	if status.Code(err) != codes.Canceled {
		t.Errorf("%v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "old" || len(entries(t, directory)) != 1 {
		t.Errorf("%q, %v", data, entries(t, directory))
	}
}

func TestDirectoryIsListedByNameInPages(t *testing.T) {
	c := newClient(t)
	directory := t.TempDir()
	var expected []string
	for n := range 2500 {
		name := fmt.Sprintf("f%04d", n)
		expected = append(expected, name)
		if err := os.WriteFile(filepath.Join(directory, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int32{0, 1000, 999, 2500 / 7} {
		var got []string
		for token := ""; ; {
			page, err := c.ListDirectory(t.Context(), &v1.ListDirectoryRequest{Path: directory, PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.GetEntries() {
				got = append(got, filepath.Base(e.GetPath()))
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if strings.Join(got, " ") != strings.Join(expected, " ") {
			t.Errorf("pages of %d: %d names", size, len(got))
		}
	}
}

// Whatever the names: each page is less than the 1 MiB that is relayed, and no entry is lost between two.
func TestPagesOfLongPathsStayWithinWhatIsRelayed(t *testing.T) {
	c := newClient(t)
	directory := t.TempDir()
	for len(directory) < 3000 {
		directory = filepath.Join(directory, strings.Repeat("d", 200))
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	const count = 400
	for n := range count {
		// Bytes that are no UTF-8 grow when they become text.
		if err := os.WriteFile(filepath.Join(directory, strings.Repeat("\xffa", 100)+fmt.Sprint(n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for token := ""; ; {
		page, err := c.ListDirectory(t.Context(), &v1.ListDirectoryRequest{Path: directory, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		if size := proto.Size(page); size >= 1<<20 {
			t.Errorf("a page of %d bytes", size)
		}
		seen += len(page.GetEntries())
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if seen != count {
		t.Errorf("%d entries, expected %d", seen, count)
	}
}

func TestLinksAreToldAndNotFollowed(t *testing.T) {
	c := newClient(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/no/such", link); err != nil {
		t.Fatal(err)
	}
	info, err := c.StatFile(t.Context(), &v1.StatFileRequest{Path: link})
	if err != nil || info.GetType() != v1.FileType_FILE_TYPE_SYMLINK || info.GetLinkTarget() != "/no/such" {
		t.Errorf("%v %v", info, err)
	}
}

func TestMakeMoveRemove(t *testing.T) {
	c := newClient(t)
	ctx := t.Context()
	root := t.TempDir()
	info, err := c.MakeDirectory(ctx, &v1.MakeDirectoryRequest{Path: root + "/a/b", Mode: 0o711, MakeParents: true})
	if err != nil || info.GetMode() != 0o711 || info.GetType() != v1.FileType_FILE_TYPE_DIRECTORY {
		t.Fatal(info, err)
	}
	if _, err := c.MakeDirectory(ctx, &v1.MakeDirectoryRequest{Path: root + "/a/b", MakeParents: true}); err != nil {
		t.Errorf("made again: %v", err)
	}
	for _, name := range []string{"/a/b/x", "/y"} {
		if _, err := write(t, c, &v1.WriteFileTarget{Path: root + name}, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.MoveFile(ctx, &v1.MoveFileRequest{Source: root + "/a/b/x", Destination: root + "/y"})
	apitest.Refused(t, err, codes.AlreadyExists, "FILE_EXISTS")
	moved, err := c.MoveFile(ctx, &v1.MoveFileRequest{Source: root + "/a/b/x", Destination: root + "/y", Replace: true})
	if err != nil || moved.GetSize() != 6 {
		t.Fatal(moved, err)
	}
	if _, err := c.RemoveFile(ctx, &v1.RemoveFileRequest{Path: root + "/y"}); err != nil {
		t.Error(err)
	}
	_, err = c.RemoveFile(ctx, &v1.RemoveFileRequest{Path: root + "/a"})
	apitest.Refused(t, err, codes.FailedPrecondition, "DIRECTORY_NOT_EMPTY")
	if _, err := c.RemoveFile(ctx, &v1.RemoveFileRequest{Path: root + "/a", Recursive: true}); err != nil {
		t.Error(err)
	}
	if names := entries(t, root); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

func TestBadRequestsAreRefusedPrecisely(t *testing.T) {
	c := newClient(t)
	ctx := t.Context()
	root := t.TempDir()
	plain := root + "/plain"
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo := root + "/fifo"
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "relative", "/a/../b", "/..", "/a\x00b", "/" + strings.Repeat("x/", 2048), root + "/" + strings.Repeat("n", 300)} {
		_, err := c.StatFile(ctx, &v1.StatFileRequest{Path: path})
		apitest.Refused(t, err, codes.InvalidArgument, "PATH_INVALID")
		_, err = read(t, c, &v1.ReadFileRequest{Path: path})
		apitest.Refused(t, err, codes.InvalidArgument, "PATH_INVALID")
		_, err = write(t, c, &v1.WriteFileTarget{Path: path}, nil)
		apitest.Refused(t, err, codes.InvalidArgument, "PATH_INVALID")
		_, err = c.ListDirectory(ctx, &v1.ListDirectoryRequest{Path: path})
		apitest.Refused(t, err, codes.InvalidArgument, "PATH_INVALID")
		_, err = c.MakeDirectory(ctx, &v1.MakeDirectoryRequest{Path: path})
		apitest.Refused(t, err, codes.InvalidArgument, "PATH_INVALID")
		_, err = c.MoveFile(ctx, &v1.MoveFileRequest{Source: plain, Destination: path})
		apitest.Refused(t, err, codes.InvalidArgument, "PATH_INVALID")
		_, err = c.RemoveFile(ctx, &v1.RemoveFileRequest{Path: path, Recursive: true})
		apitest.Refused(t, err, codes.InvalidArgument, "PATH_INVALID")
	}
	call := func(_ any, err error) error { return err }
	for name, refused := range map[string]struct {
		err    error
		code   codes.Code
		reason string
	}{
		"stat of nothing":       {call(c.StatFile(ctx, &v1.StatFileRequest{Path: root + "/none"})), codes.NotFound, "FILE_NOT_FOUND"},
		"read of nothing":       {call(read(t, c, &v1.ReadFileRequest{Path: root + "/none"})), codes.NotFound, "FILE_NOT_FOUND"},
		"read of a directory":   {call(read(t, c, &v1.ReadFileRequest{Path: root})), codes.FailedPrecondition, "IS_A_DIRECTORY"},
		"read of a FIFO":        {call(read(t, c, &v1.ReadFileRequest{Path: fifo})), codes.InvalidArgument, "PATH_INVALID"},
		"read of a device":      {call(read(t, c, &v1.ReadFileRequest{Path: "/dev/zero"})), codes.InvalidArgument, "PATH_INVALID"},
		"write over directory":  {call(write(t, c, &v1.WriteFileTarget{Path: root}, nil)), codes.FailedPrecondition, "IS_A_DIRECTORY"},
		"write without parent":  {call(write(t, c, &v1.WriteFileTarget{Path: root + "/a/b"}, nil)), codes.NotFound, "FILE_NOT_FOUND"},
		"write below a file":    {call(write(t, c, &v1.WriteFileTarget{Path: plain + "/b", MakeParents: true}, nil)), codes.FailedPrecondition, "NOT_A_DIRECTORY"},
		"write with file type":  {call(write(t, c, &v1.WriteFileTarget{Path: root + "/m", Mode: 0o100644}, nil)), codes.InvalidArgument, "INVALID_ARGUMENT"},
		"list of a file":        {call(c.ListDirectory(ctx, &v1.ListDirectoryRequest{Path: plain})), codes.FailedPrecondition, "NOT_A_DIRECTORY"},
		"list with bad size":    {call(c.ListDirectory(ctx, &v1.ListDirectoryRequest{Path: root, PageSize: 1001})), codes.InvalidArgument, "INVALID_ARGUMENT"},
		"list with bad token":   {call(c.ListDirectory(ctx, &v1.ListDirectoryRequest{Path: root, PageToken: "!"})), codes.InvalidArgument, "PAGE_TOKEN_INVALID"},
		"make what is there":    {call(c.MakeDirectory(ctx, &v1.MakeDirectoryRequest{Path: root})), codes.AlreadyExists, "FILE_EXISTS"},
		"make over a file":      {call(c.MakeDirectory(ctx, &v1.MakeDirectoryRequest{Path: plain, MakeParents: true})), codes.AlreadyExists, "FILE_EXISTS"},
		"move of nothing":       {call(c.MoveFile(ctx, &v1.MoveFileRequest{Source: root + "/none", Destination: root + "/z"})), codes.NotFound, "FILE_NOT_FOUND"},
		"move into itself":      {call(c.MoveFile(ctx, &v1.MoveFileRequest{Source: root, Destination: root + "/z"})), codes.InvalidArgument, "PATH_INVALID"},
		"remove of nothing":     {call(c.RemoveFile(ctx, &v1.RemoveFileRequest{Path: root + "/none", Recursive: true})), codes.NotFound, "FILE_NOT_FOUND"},
		"remove of everything":  {call(c.RemoveFile(ctx, &v1.RemoveFileRequest{Path: "/", Recursive: true})), codes.InvalidArgument, "PATH_INVALID"},
		"write with no message": {call(endless(t, c)), codes.InvalidArgument, "INVALID_ARGUMENT"},
	} {
		t.Run(name, func(t *testing.T) { apitest.Refused(t, refused.err, refused.code, refused.reason) })
	}
}

func endless(t *testing.T, c v1.FileServiceClient) (*v1.WriteFileResponse, error) {
	s, err := c.WriteFile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.CloseAndRecv()
}

func TestFullDiskIsTold(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	directory := t.TempDir()
	if err := syscall.Mount("tmpfs", directory, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no mount here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(directory, syscall.MNT_DETACH) })
	_, err := write(t, newClient(t), &v1.WriteFileTarget{Path: directory + "/big"}, make([]byte, 1<<20))
	apitest.Refused(t, err, codes.ResourceExhausted, "DISK_FULL")
	if names := entries(t, directory); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}
