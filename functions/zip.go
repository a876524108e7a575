package functions

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"pergola/aws/lambda"
)

// Bounds on what a zip file may hold beside the sizes that package aws/lambda has.
const (
	maxEntries = 50_000
	maxPath    = 1024
	maxPart    = 255 // of a path, which is what file systems take
	maxLink    = 1024
)

// ErrZip is wrapped by what is wrong with a zip file.
var ErrZip = errors.New("the zip file cannot be used")

func badZip(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrZip, fmt.Sprintf(format, args...))
}

// archive is a zip file. The name, kind and size of each entry have been found harmless.
type archive struct{ *zip.Reader }

// openZip reads the directory of a zip file and refuses what could reach outside of where it will be unpacked.
func openZip(content []byte) (archive, error) {
	if len(content) > lambda.MaxZip {
		return archive{}, badZip("it has %d bytes, %d at most are allowed", len(content), lambda.MaxZip)
	}
	r, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return archive{}, badZip("%v", err)
	}
	if len(r.File) > maxEntries {
		return archive{}, badZip("it has %d entries, %d at most are allowed", len(r.File), maxEntries)
	}
	total, isDirectory := uint64(0), map[string]bool{}
	for _, f := range r.File {
		name := nameOf(f)
		if err := checkEntry(f, name); err != nil {
			return archive{}, err
		}
		if _, seen := isDirectory[name]; seen {
			return archive{}, badZip("%.100q is there twice", name)
		}
		isDirectory[name] = f.Mode().IsDir()
		if total += f.UncompressedSize64; total > lambda.MaxUnpacked || f.UncompressedSize64 > lambda.MaxUnpacked {
			return archive{}, badZip("unzipped it has more than %d bytes", lambda.MaxUnpacked)
		}
	}
	return archive{r}, checkParents(r.File, isDirectory)
}

// nameOf is the name of an entry: those of directories end with a slash.
func nameOf(f *zip.File) string { return strings.TrimSuffix(f.Name, "/") }

// checkParents refuses entries below what is no directory: nobody could unpack them, or, below a link, say where they are.
// It adds to the directories those that have no entry of their own.
func checkParents(files []*zip.File, isDirectory map[string]bool) error {
	for _, f := range files {
		for dir := path.Dir(nameOf(f)); dir != "."; dir = path.Dir(dir) {
			is, known := isDirectory[dir]
			if known && !is {
				return badZip("%.100q is below %.100q, which is no directory", f.Name, dir)
			}
			if known {
				break // what it is below is looked at with it
			}
			isDirectory[dir] = true
		}
	}
	return nil
}

// checkEntry refuses names that are not plain relative paths, and entries that are no files, directories or links.
func checkEntry(f *zip.File, name string) error {
	switch mode := f.Mode(); {
	case name == "" || name == "." || len(name) > maxPath || strings.ContainsAny(name, "\\\x00") || !fs.ValidPath(name) || hasLongPart(name):
		return badZip("%.100q is no path within it", f.Name)
	case mode&fs.ModeType&^(fs.ModeDir|fs.ModeSymlink) != 0:
		return badZip("%.100q is a special file", f.Name)
	case mode&fs.ModeSymlink != 0 && f.UncompressedSize64 > maxLink:
		return badZip("the link %.100q is too long", f.Name)
	}
	return nil
}

func hasLongPart(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return len(part) > maxPart })
}

// check reads every entry to its end, and so finds out whether all are whole and as large as they say.
func (a archive) check() error {
	return a.each(func(f *zip.File, name string, content io.Reader) error {
		if f.Mode()&fs.ModeSymlink != 0 {
			_, err := linkTarget(name, content)
			return err
		}
		_, err := io.Copy(io.Discard, content)
		return err
	})
}

// unpack writes all entries below a directory, and nowhere else: an os.Root follows no link out of itself.
func (a archive) unpack(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return a.each(func(f *zip.File, name string, content io.Reader) error {
		if f.Mode().IsDir() {
			return root.MkdirAll(name, 0o700)
		}
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		if f.Mode()&fs.ModeSymlink != 0 {
			target, err := linkTarget(name, content)
			if err != nil {
				return err
			}
			return root.Symlink(target, name)
		}
		return write(root, name, f.Mode(), content)
	})
}

func write(root *os.Root, name string, mode fs.FileMode, content io.Reader) error {
	permissions := fs.FileMode(0o600)
	if mode&0o111 != 0 {
		permissions = 0o700
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, permissions)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// each opens one entry after the other. What an entry holds beyond the size that it states is an error of package zip.
func (a archive) each(f func(*zip.File, string, io.Reader) error) error {
	for _, entry := range a.File {
		content, err := entry.Open()
		if err != nil {
			return badZip("%.100q: %v", entry.Name, err)
		}
		err = f(entry, nameOf(entry), io.LimitReader(content, lambda.MaxUnpacked))
		content.Close()
		if err != nil {
			return badZip("%.100q: %v", entry.Name, err)
		}
	}
	return nil
}

// linkTarget reads where a symbolic link points, which must be a place within the zip file. It may go up before it goes down,
// but not after: where that leads would depend on other links.
func linkTarget(name string, content io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(content, maxLink))
	target := string(b)
	plain := strings.TrimSuffix(strings.TrimPrefix(target, "./"), "/")
	if err == nil && (target == "" || strings.ContainsRune(target, 0) || path.Clean(target) != plain || !fs.ValidPath(path.Join(path.Dir(name), target)) || path.IsAbs(target)) {
		err = errors.New("the link points out of the zip file")
	}
	return target, err
}
