package functions

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// raw makes a zip file with an entry whose name package zip would not write by itself.
func raw(t testing.TB, name, content string, mode fs.FileMode) []byte {
	t.Helper()
	const stand = "0123456789abcdef"
	placeholder := strings.Repeat(stand, len(name)/len(stand)+1)[:len(name)]
	return bytes.ReplaceAll(zipOf(t, file{placeholder, content, mode}), []byte(placeholder), []byte(name))
}

func TestZipFilesStayWithinTheirDirectory(t *testing.T) {
	bomb := zipOf(t, file{"a", strings.Repeat("x", 4096), 0o644})
	// The sizes in the directory say less than there is.
	for at := bytes.Index(bomb, []byte("PK\x01\x02")); at >= 0; at = -1 {
		binary.LittleEndian.PutUint32(bomb[at+24:], 10)
	}
	for _, c := range []struct {
		name, problem string
		zip           []byte
	}{
		{"no zip", "not a valid zip file", []byte("hello")},
		{"empty", "not a valid zip file", nil},
		{"dot dot", "is no path within it", raw(t, "../evil", "x", 0o644)},
		{"dot dot within", "is no path within it", raw(t, "a/../../evil", "x", 0o644)},
		{"absolute", "is no path within it", raw(t, "/etc/evil", "x", 0o644)},
		{"backslash", "is no path within it", raw(t, `..\evil`, "x", 0o644)},
		{"null", "is no path within it", raw(t, "a\x00b", "x", 0o644)},
		{"double slash", "is no path within it", raw(t, "a//b", "x", 0o644)},
		{"dot", "is no path within it", raw(t, "./a", "x", 0o644)},
		{"long name", "is no path within it", zipOf(t, file{strings.Repeat("x", 1025), "", 0o644})},
		{"twice", "is there twice", zipOf(t, file{"a", "1", 0o644}, file{"a", "2", 0o644})},
		{"file and directory", "is there twice", zipOf(t, file{"a", "1", 0o644}, file{"a/", "", fs.ModeDir | 0o755})},
		{"below a file", "is below", zipOf(t, file{"a", "1", 0o644}, file{"a/b/c", "2", 0o644})},
		{"above a file", "is below", zipOf(t, file{"a/b/c", "2", 0o644}, file{"a/b", "1", 0o644})},
		{"below a link", "is below", zipOf(t, file{"b/", "", fs.ModeDir | 0o755}, file{"a", "b", fs.ModeSymlink | 0o777}, file{"a/c", "x", 0o644})},
		{"long part of a name", "is no path within it", zipOf(t, file{"a/" + strings.Repeat("x", 256), "", 0o644})},
		{"link down and up", "points out of the zip file", zipOf(t, file{"a/b/c", "../..", fs.ModeSymlink | 0o777}, file{"d", "a/b/c/../../..", fs.ModeSymlink | 0o777})},
		{"device", "is a special file", zipOf(t, file{"a", "", fs.ModeDevice | 0o644})},
		{"socket", "is a special file", zipOf(t, file{"a", "", fs.ModeSocket | 0o644})},
		{"absolute link", "points out of the zip file", zipOf(t, file{"a", "/etc/passwd", fs.ModeSymlink | 0o777})},
		{"link out", "points out of the zip file", zipOf(t, file{"a/b", "../../x", fs.ModeSymlink | 0o777})},
		{"long link", "is too long", zipOf(t, file{"a", strings.Repeat("x", 1025), fs.ModeSymlink | 0o777})},
		{"lying size", "zip: ", bomb},
	} {
		codes, err := OpenCodes(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := codes.Put(c.zip); !errors.Is(err, ErrZip) || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: got %v, want an ErrZip with %q", c.name, err, c.problem)
		}
		if left, _ := os.ReadDir(codes.dir); len(left) > 0 {
			t.Errorf("%s: %v is left", c.name, left)
		}
	}
}

// TestALinkLeadsNoEntryOut refuses at the latest what would be written through a link, even if all checks before had
// missed it.
func TestALinkLeadsNoEntryOut(t *testing.T) {
	outside := t.TempDir()
	link := file{"a", "b", fs.ModeSymlink | 0o777}
	for name, content := range map[string][]byte{
		"link to a link":        zipOf(t, link, file{"b", ".", fs.ModeSymlink | 0o777}, file{"a/c", "x", 0o644}),
		"file in place of link": zipOf(t, link, file{"b", "1", 0o644}),
	} {
		dir := filepath.Join(outside, "in")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		opened, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = archive{opened}.unpack(dir) // it may refuse or not
		if entries, _ := os.ReadDir(outside); len(entries) != 1 {
			t.Errorf("%s: %v is outside", name, entries)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCodeIsKeptOnceAndForItsOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	codes, err := OpenCodes(dir)
	if err != nil {
		t.Fatal(err)
	}
	content := zipOf(t, file{"bin/", "", fs.ModeDir | 0o755}, file{"bin/tool", "tool", 0o755}, file{"tool", "bin/tool", fs.ModeSymlink | 0o777}, file{"data", "data", 0o666})
	name, err := codes.Put(content)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := codes.Put(content); again != name || err != nil {
		t.Errorf("put again: %s %v", again, err)
	}
	unpacked, err := codes.use(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(unpacked, "tool")); string(got) != "tool" || err != nil {
		t.Errorf("through the link: %q %v", got, err)
	}
	modes := map[string]fs.FileMode{name + ".zip": 0o600, name: 0o700 | fs.ModeDir, name + "/bin/tool": 0o700, name + "/data": 0o600}
	for path, want := range modes {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", path, info.Mode(), err, want)
		}
	}
	// A later process finds the zip file, and unpacks it anew.
	if err := os.WriteFile(filepath.Join(dir, "new-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if codes, err = OpenCodes(dir); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(codes.clear(), codes.Keep(map[string]bool{name: true})); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != name+".zip" {
		t.Errorf("after opening again there is %v", left)
	}
	if _, err := codes.use(name); err != nil {
		t.Error(err)
	}
}

// FuzzZip looks for a zip file that panics, or that reaches out of its directory.
func FuzzZip(f *testing.F) {
	f.Add(zipOf(f, file{"bootstrap", "#!/bin/sh", 0o755}, file{"a/", "", fs.ModeDir | 0o755}, file{"a/b", "../bootstrap", fs.ModeSymlink | 0o777}))
	f.Add(raw(f, "../evil", "x", 0o644))
	f.Add(zipOf(f, file{"a", "..", fs.ModeSymlink | 0o777}, file{"a/b", "x", 0o644}))
	f.Fuzz(func(t *testing.T, content []byte) {
		opened, err := openZip(content)
		if err != nil {
			return
		}
		var size uint64
		for _, entry := range opened.File {
			size += entry.UncompressedSize64
		}
		if size > 1<<20 || len(opened.File) > 100 {
			return
		}
		outside := t.TempDir()
		dir := filepath.Join(outside, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		err = opened.unpack(dir)
		if entries, _ := os.ReadDir(outside); len(entries) != 1 {
			t.Errorf("%v is outside, %v", entries, err)
		}
		if opened.check() != nil && err == nil {
			t.Error("it was unpacked, and does not pass the check")
		}
	})
}
