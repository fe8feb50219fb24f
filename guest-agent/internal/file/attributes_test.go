package file

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cofferdam.dev/guest-agent/internal/apitest"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
)

func plain(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestAttributesAreSetOneByOne(t *testing.T) {
	c := newClient(t)
	path := plain(t, "0123456789")
	access, modify := time.Unix(1_000_000_000, 5000), time.Unix(1_100_000_000, 0)
	for name, set := range map[string]struct {
		request *v1.SetFileAttributesRequest
		holds   func(*v1.FileInfo) bool
	}{
		"mode":    {&v1.SetFileAttributesRequest{Mode: proto.Uint32(0o4711)}, func(i *v1.FileInfo) bool { return i.GetMode() == 0o4711 && i.GetRawMode() == 0o104711 }},
		"no mode": {&v1.SetFileAttributesRequest{Mode: proto.Uint32(0)}, func(i *v1.FileInfo) bool { return i.GetMode() == 0 }},
		"owner": {&v1.SetFileAttributesRequest{Uid: proto.Uint32(uint32(os.Getuid()))}, func(i *v1.FileInfo) bool {
			return i.GetUid() == uint32(os.Getuid()) && i.GetGid() == uint32(os.Getgid())
		}},
		"modify time": {&v1.SetFileAttributesRequest{ModifyTime: timestamppb.New(modify)}, func(i *v1.FileInfo) bool {
			return i.GetModifyTime().AsTime().Equal(modify) && !i.GetAccessTime().AsTime().Equal(modify)
		}},
		"access time": {&v1.SetFileAttributesRequest{AccessTime: timestamppb.New(access)}, func(i *v1.FileInfo) bool { return i.GetAccessTime().AsTime().Equal(access) }},
		"smaller":     {&v1.SetFileAttributesRequest{Size: proto.Uint64(4)}, func(i *v1.FileInfo) bool { return i.GetSize() == 4 }},
	} {
		set.request.Path = path
		info, err := c.SetFileAttributes(t.Context(), set.request)
		if err != nil || !set.holds(info) {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if _, err := c.SetFileAttributes(t.Context(), &v1.SetFileAttributesRequest{Path: path, Size: proto.Uint64(6), Mode: proto.Uint32(0o600)}); err != nil {
		t.Fatal(err)
	}
	if content := contentOf(t, path); content != "0123\x00\x00" {
		t.Errorf("%q", content)
	}
}

func TestLinksAreMadeAndResolved(t *testing.T) {
	c := newClient(t)
	ctx := t.Context()
	path := plain(t, "content")
	directory := filepath.Dir(path)
	symbolic, err := c.MakeLink(ctx, &v1.MakeLinkRequest{Path: directory + "/symbolic", Target: "plain", Symbolic: true})
	if err != nil || symbolic.GetType() != v1.FileType_FILE_TYPE_SYMLINK || symbolic.GetLinkTarget() != "plain" {
		t.Fatal(symbolic, err)
	}
	hard, err := c.MakeLink(ctx, &v1.MakeLinkRequest{Path: directory + "/hard", Target: path})
	if err != nil || hard.GetType() != v1.FileType_FILE_TYPE_REGULAR || hard.GetLinks() != 2 {
		t.Fatal(hard, err)
	}
	followed, err := c.StatFile(ctx, &v1.StatFileRequest{Path: directory + "/symbolic", Follow: true})
	if err != nil || followed.GetInode() != hard.GetInode() || followed.GetDevice() != hard.GetDevice() || followed.GetLinkTarget() != "" {
		t.Error(followed, err)
	}
	if err := os.Symlink(directory, directory+"/loop"); err != nil {
		t.Fatal(err)
	}
	resolved, err := c.ResolvePath(ctx, &v1.ResolvePathRequest{Path: directory + "/loop/loop/symbolic"})
	if err != nil || resolved.GetPath() != path {
		t.Error(resolved, err)
	}
	// What is set is set on what the link leads to.
	if _, err := c.SetFileAttributes(ctx, &v1.SetFileAttributesRequest{Path: directory + "/symbolic", Size: proto.Uint64(3)}); err != nil || contentOf(t, path) != "con" {
		t.Error(contentOf(t, path), err)
	}
}

func TestACopyIsWhole(t *testing.T) {
	c := newClient(t)
	source := plain(t, "first")
	if err := os.Chmod(source, 0o4750); err != nil {
		t.Fatal(err)
	}
	destination := filepath.Join(t.TempDir(), "copy")
	for _, content := range []string{"first", "second, and longer", ""} {
		if err := os.WriteFile(source, []byte(content), 0); err != nil {
			t.Fatal(err)
		}
		info, err := c.CopyFile(t.Context(), &v1.CopyFileRequest{Source: source, Destination: destination})
		if err != nil || info.GetMode() != 0o750 && info.GetMode() != 0o4750 || contentOf(t, destination) != content {
			t.Error(info, err, contentOf(t, destination))
		}
	}
	if names := entries(t, filepath.Dir(destination)); len(names) != 1 {
		t.Errorf("left beside the copy: %v", names)
	}
}

func TestTemporariesNeverMeet(t *testing.T) {
	c := newClient(t)
	directory := t.TempDir()
	for n := range 50 {
		kind := v1.FileType_FILE_TYPE_REGULAR
		mode := uint32(0o600)
		if n%2 == 0 {
			kind, mode = v1.FileType_FILE_TYPE_DIRECTORY, 0o700
		}
		info, err := c.MakeTemporary(t.Context(), &v1.MakeTemporaryRequest{Directory: directory, Prefix: "pre*", Suffix: ".suf*", Type: kind})
		if err != nil || info.GetType() != kind || info.GetMode() != mode {
			t.Fatal(info, err)
		}
		if matched, _ := filepath.Match(directory+"/pre\\**.suf\\*", info.GetPath()); !matched {
			t.Fatal(info.GetPath())
		}
	}
	if names := entries(t, directory); len(names) != 50 {
		t.Errorf("%d made", len(names))
	}
}

func walked(t *testing.T, c v1.FileServiceClient, request *v1.WalkDirectoryRequest) ([]*v1.WalkedFile, error) {
	t.Helper()
	s, err := c.WalkDirectory(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	var files []*v1.WalkedFile
	for {
		m, err := s.Recv()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return files, nil
			}
			return files, err
		}
		files = append(files, m.GetFiles()...)
	}
}

func TestAWalkTellsAllThatIsWanted(t *testing.T) {
	c := newClient(t)
	root := t.TempDir()
	if err := os.MkdirAll(root+"/a/b", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/a/one.txt", "/a/b/two.txt", "/three.md"} {
		if err := os.WriteFile(root+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(root, root+"/a/around"); err != nil {
		t.Fatal(err)
	}
	for name, expected := range map[string]struct {
		request *v1.WalkDirectoryRequest
		paths   []string
	}{
		"all":       {&v1.WalkDirectoryRequest{}, []string{"", "/a", "/a/around", "/a/b", "/a/b/two.txt", "/a/one.txt", "/three.md"}},
		"itself":    {&v1.WalkDirectoryRequest{MaxDepth: proto.Uint32(0)}, []string{""}},
		"one level": {&v1.WalkDirectoryRequest{MaxDepth: proto.Uint32(1)}, []string{"", "/a", "/three.md"}},
		"match":     {&v1.WalkDirectoryRequest{Match: []string{`\.txt$`, "three"}}, []string{"/a/b/two.txt", "/a/one.txt", "/three.md"}},
		"skip":      {&v1.WalkDirectoryRequest{Skip: []string{"/a/b"}}, []string{"", "/a", "/a/around", "/a/one.txt", "/three.md"}},
	} {
		expected.request.Path = root
		files, err := walked(t, c, expected.request)
		var paths []string
		for _, file := range files {
			paths = append(paths, file.GetPath())
		}
		var wanted []string
		for _, path := range expected.paths {
			wanted = append(wanted, root+path)
		}
		if err != nil || len(paths) != len(wanted) {
			t.Errorf("%s: %v, %v", name, paths, err)
			continue
		}
		for n := range paths {
			if paths[n] != wanted[n] {
				t.Errorf("%s: %v", name, paths)
				break
			}
		}
	}
}

func TestWhatCannotBeMadeOrWalkedIsRefused(t *testing.T) {
	c := newClient(t)
	ctx := t.Context()
	path := plain(t, "x")
	root := filepath.Dir(path)
	long := make([]byte, 1025)
	for n := range long {
		long[n] = 'x'
	}
	call := func(_ any, err error) error { return err }
	for name, refused := range map[string]struct {
		err    error
		code   codes.Code
		reason string
	}{
		"attributes of nothing": {call(c.SetFileAttributes(ctx, &v1.SetFileAttributesRequest{Path: root + "/none", Mode: proto.Uint32(0)})), codes.NotFound, "FILE_NOT_FOUND"},
		"mode of a type":        {call(c.SetFileAttributes(ctx, &v1.SetFileAttributesRequest{Path: path, Mode: proto.Uint32(0o100644)})), codes.InvalidArgument, "INVALID_ARGUMENT"},
		"size of a directory":   {call(c.SetFileAttributes(ctx, &v1.SetFileAttributesRequest{Path: root, Size: proto.Uint64(0)})), codes.FailedPrecondition, "IS_A_DIRECTORY"},
		"size beyond all":       {call(c.SetFileAttributes(ctx, &v1.SetFileAttributesRequest{Path: path, Size: proto.Uint64(1 << 63)})), codes.ResourceExhausted, "DISK_FULL"},
		"time that is none":     {call(c.SetFileAttributes(ctx, &v1.SetFileAttributesRequest{Path: path, ModifyTime: &timestamppb.Timestamp{Nanos: -1}})), codes.InvalidArgument, "INVALID_ARGUMENT"},
		"attributes by ..":      {call(c.SetFileAttributes(ctx, &v1.SetFileAttributesRequest{Path: "/a/../b"})), codes.InvalidArgument, "PATH_INVALID"},
		"copy of nothing":       {call(c.CopyFile(ctx, &v1.CopyFileRequest{Source: root + "/none", Destination: root + "/z"})), codes.NotFound, "FILE_NOT_FOUND"},
		"copy of a directory":   {call(c.CopyFile(ctx, &v1.CopyFileRequest{Source: root, Destination: root + "/z"})), codes.FailedPrecondition, "IS_A_DIRECTORY"},
		"copy of a device":      {call(c.CopyFile(ctx, &v1.CopyFileRequest{Source: "/dev/zero", Destination: root + "/z"})), codes.InvalidArgument, "PATH_INVALID"},
		"copy onto a directory": {call(c.CopyFile(ctx, &v1.CopyFileRequest{Source: path, Destination: root})), codes.FailedPrecondition, "IS_A_DIRECTORY"},
		"link over a file":      {call(c.MakeLink(ctx, &v1.MakeLinkRequest{Path: path, Target: "x", Symbolic: true})), codes.AlreadyExists, "FILE_EXISTS"},
		"link to no text":       {call(c.MakeLink(ctx, &v1.MakeLinkRequest{Path: root + "/l", Symbolic: true})), codes.InvalidArgument, "PATH_INVALID"},
		"link with NUL":         {call(c.MakeLink(ctx, &v1.MakeLinkRequest{Path: root + "/l", Target: "a\x00b", Symbolic: true})), codes.InvalidArgument, "PATH_INVALID"},
		"name for nothing":      {call(c.MakeLink(ctx, &v1.MakeLinkRequest{Path: root + "/l", Target: root + "/none"})), codes.NotFound, "FILE_NOT_FOUND"},
		"name for a directory":  {call(c.MakeLink(ctx, &v1.MakeLinkRequest{Path: root + "/l", Target: root})), codes.PermissionDenied, "PERMISSION_DENIED_IN_GUEST"},
		"temporary elsewhere":   {call(c.MakeTemporary(ctx, &v1.MakeTemporaryRequest{Directory: root, Prefix: "../x", Type: v1.FileType_FILE_TYPE_REGULAR})), codes.InvalidArgument, "PATH_INVALID"},
		"temporary nowhere":     {call(c.MakeTemporary(ctx, &v1.MakeTemporaryRequest{Directory: root + "/none", Type: v1.FileType_FILE_TYPE_REGULAR})), codes.NotFound, "FILE_NOT_FOUND"},
		"temporary link":        {call(c.MakeTemporary(ctx, &v1.MakeTemporaryRequest{Directory: root, Type: v1.FileType_FILE_TYPE_SYMLINK})), codes.InvalidArgument, "INVALID_ARGUMENT"},
		"path to nothing":       {call(c.ResolvePath(ctx, &v1.ResolvePathRequest{Path: root + "/none"})), codes.NotFound, "FILE_NOT_FOUND"},
		"walk of nothing":       {call(walked(t, c, &v1.WalkDirectoryRequest{Path: root + "/none"})), codes.NotFound, "FILE_NOT_FOUND"},
		"walk of a file":        {call(walked(t, c, &v1.WalkDirectoryRequest{Path: path})), codes.FailedPrecondition, "NOT_A_DIRECTORY"},
		"walk by no expression": {call(walked(t, c, &v1.WalkDirectoryRequest{Path: root, Match: []string{"("}})), codes.InvalidArgument, "INVALID_ARGUMENT"},
		"walk by a long one":    {call(walked(t, c, &v1.WalkDirectoryRequest{Path: root, Skip: []string{string(long)}})), codes.InvalidArgument, "INVALID_ARGUMENT"},
		"walk by many":          {call(walked(t, c, &v1.WalkDirectoryRequest{Path: root, Skip: make([]string, 65)})), codes.InvalidArgument, "INVALID_ARGUMENT"},
	} {
		t.Run(name, func(t *testing.T) { apitest.Refused(t, refused.err, refused.code, refused.reason) })
	}
}
