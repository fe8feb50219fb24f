package file

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	maxPage = 1000
	// A page ends early here: with one more entry, which has at most three times two paths, an answer is well within the 1 MiB that is relayed.
	maxPageBytes = 512 << 10
)

// ListDirectory pages through the names in their byte order. The token is the last name given, so entries that come and
// go between pages neither repeat nor hide others.
func (Service) ListDirectory(ctx context.Context, request *v1.ListDirectoryRequest) (*v1.ListDirectoryResponse, error) {
	path, err := clean(request.GetPath())
	if err != nil {
		return nil, err
	}
	size := int(request.GetPageSize())
	if size < 0 || size > maxPage {
		return nil, refusal.Invalid("page_size %d: expected 0 to %d", size, maxPage)
	}
	if size == 0 {
		size = maxPage
	}
	after, err := parseToken(request.GetPageToken())
	if err != nil {
		return nil, err
	}
	names, err := sortedNames(path)
	if err != nil {
		return nil, err
	}
	first, found := slices.BinarySearch(names, after)
	if found {
		first++
	}
	return page(ctx, path, names[first:], size)
}

func page(ctx context.Context, path string, names []string, size int) (*v1.ListDirectoryResponse, error) {
	response := &v1.ListDirectoryResponse{}
	bytes := 0
	for n, name := range names {
		if ctx.Err() != nil {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		if len(response.Entries) == size || bytes > maxPageBytes {
			response.NextPageToken = formatToken(names[n-1])
			break
		}
		entry, err := stat(filepath.Join(path, name))
		if isGone(path, name, err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		response.Entries = append(response.Entries, entry)
		bytes += proto.Size(entry)
	}
	return response, nil
}

// isGone tells an entry that vanished between the listing and its stat from other failures.
func isGone(path, name string, err error) bool {
	if err == nil {
		return false
	}
	_, again := os.Lstat(filepath.Join(path, name))
	return errors.Is(again, fs.ErrNotExist)
}

func sortedNames(path string) ([]string, error) {
	directory, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, refusal.OfFile(err, path)
	}
	defer directory.Close()
	names, err := directory.Readdirnames(-1)
	if err != nil {
		return nil, refusal.OfFile(err, path)
	}
	slices.Sort(names)
	return names, nil
}

func formatToken(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

func parseToken(token string) (string, error) {
	name, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || strings.ContainsAny(string(name), "/\x00") {
		return "", refusal.New(v1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID, "%q is no page token of this call", token)
	}
	return string(name), nil
}

func text(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
