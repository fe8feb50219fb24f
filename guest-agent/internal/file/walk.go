package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/status"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	maxExpressions = 64
	maxExpression  = 1024
	// Of the paths in one message: well within the 1 MiB that is relayed, also once bytes that are no text have become some.
	maxWalkBytes = 64 << 10
)

// WalkDirectory sends entries as they are found, many in a message.
func (Service) WalkDirectory(request *v1.WalkDirectoryRequest, stream v1.FileService_WalkDirectoryServer) error {
	path, err := clean(request.GetPath())
	if err != nil {
		return err
	}
	w := &walker{stream: stream, depth: -1}
	if request.MaxDepth != nil {
		w.depth = int(min(request.GetMaxDepth(), maxPath))
	}
	if w.match, err = compile(request.GetMatch()); err != nil {
		return err
	}
	if w.skip, err = compile(request.GetSkip()); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return refusal.OfFile(err, path)
	}
	if !info.IsDir() {
		return refusal.OfFile(unix.ENOTDIR, path)
	}
	if err := w.visit(path, info.Mode(), 0); err != nil {
		return err
	}
	return w.flush()
}

type walker struct {
	stream      v1.FileService_WalkDirectoryServer
	depth       int // -1: any
	match, skip []*regexp.Regexp
	found       v1.WalkDirectoryResponse
	bytes       int
}

func (w *walker) visit(path string, mode fs.FileMode, depth int) error {
	if w.stream.Context().Err() != nil {
		return status.FromContextError(w.stream.Context().Err()).Err()
	}
	if anyMatches(w.skip, path) {
		return nil
	}
	if len(w.match) == 0 || anyMatches(w.match, path) {
		if err := w.tell(path, mode); err != nil {
			return err
		}
	}
	if !mode.IsDir() || depth == w.depth {
		return nil
	}
	names, err := sortedNames(path)
	if err != nil {
		if _, again := os.Lstat(path); depth > 0 && again != nil {
			return nil // It went while others were looked at.
		}
		return err
	}
	for _, name := range names {
		child := filepath.Join(path, name)
		info, err := os.Lstat(child)
		if isGone(path, name, err) {
			continue
		}
		if err != nil {
			return refusal.OfFile(err, child)
		}
		if err := w.visit(child, info.Mode(), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) tell(path string, mode fs.FileMode) error {
	w.found.Files = append(w.found.Files, &v1.WalkedFile{Path: text(path), Type: typeOfEntry(mode)})
	if w.bytes += len(path); w.bytes < maxWalkBytes {
		return nil
	}
	return w.flush()
}

func (w *walker) flush() error {
	if len(w.found.Files) == 0 {
		return nil
	}
	err := w.stream.Send(&w.found)
	w.found.Files, w.bytes = nil, 0
	return err
}

func typeOfEntry(mode fs.FileMode) v1.FileType {
	switch mode.Type() {
	case 0:
		return v1.FileType_FILE_TYPE_REGULAR
	case fs.ModeDir:
		return v1.FileType_FILE_TYPE_DIRECTORY
	case fs.ModeSymlink:
		return v1.FileType_FILE_TYPE_SYMLINK
	default:
		return v1.FileType_FILE_TYPE_OTHER
	}
}

func compile(expressions []string) ([]*regexp.Regexp, error) {
	if len(expressions) > maxExpressions {
		return nil, refusal.Invalid("%d expressions: at most %d are allowed", len(expressions), maxExpressions)
	}
	var compiled []*regexp.Regexp
	for _, expression := range expressions {
		if len(expression) > maxExpression {
			return nil, refusal.Invalid("an expression of %d bytes: at most %d are allowed", len(expression), maxExpression)
		}
		each, err := regexp.Compile(expression)
		if err != nil {
			return nil, refusal.Invalid("%q: %v", expression, err)
		}
		compiled = append(compiled, each)
	}
	return compiled, nil
}

func anyMatches(expressions []*regexp.Regexp, path string) bool {
	for _, expression := range expressions {
		if expression.MatchString(path) {
			return true
		}
	}
	return false
}
