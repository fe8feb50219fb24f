package file

import (
	"path/filepath"
	"slices"
	"strings"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const maxPath = 4096

// clean checks a path of the API and gives its shortest form. Symbolic links in it are followed as the kernel does:
// everything they lead to is the guest's own.
func clean(path string) (string, error) {
	switch {
	case path == "":
		return "", invalid("the path is empty: expected an absolute path")
	case len(path) > maxPath:
		return "", invalid("a path of %d bytes: at most %d are allowed", len(path), maxPath)
	case !strings.HasPrefix(path, "/"):
		return "", invalid("%q: expected an absolute path", path)
	case strings.ContainsRune(path, 0):
		return "", invalid("%q contains NUL", path)
	case slices.Contains(strings.Split(path, "/"), ".."):
		return "", invalid("%q contains '..'", path)
	}
	return filepath.Clean(path), nil
}

func invalid(format string, args ...any) error {
	return refusal.New(v1.ErrorReason_ERROR_REASON_PATH_INVALID, format, args...)
}
