// Package image is what an OCI image says of the processes in it (OCI image specification, config.md).
package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const maxBytes = 2 << 20

// Image is the defaults of processes. Its zero value is an image that says nothing.
type Image struct {
	Environment map[string]string `json:"environment"`
	// Directory is empty for the user's home.
	Directory string `json:"directory"`
	// User is empty for root.
	User string `json:"user"`
}

// Read reads the file that node-agent puts beside the agent; without one the image says nothing.
func Read(path string) (Image, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, nil
	}
	if err != nil {
		return Image{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxBytes))
	if err != nil {
		return Image{}, err
	}
	var image Image
	if err := json.Unmarshal(text, &image); err != nil {
		return Image{}, fmt.Errorf("%s: %w", path, err)
	}
	return image, nil
}
