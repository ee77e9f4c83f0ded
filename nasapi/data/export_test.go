package data

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestExportIsWhatNumPyReads(t *testing.T) {
	t.Setenv(FolderVariable, t.TempDir())
	how := SyntheticSpec{TrainN: 20, TestN: 7, H: 5, W: 5, Classes: 3}
	path, err := Exported(t.Context(), Spec{Name: syntheticName, Synthetic: &how})
	if err != nil {
		t.Fatal(err)
	}
	set, err := Synthetic(how)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || filepath.Base(path) != set.Digest+".npz" {
		t.Fatal(path, err)
	}
	back, err := readNPZ(bytes.NewReader(text), int64(len(text)), ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Pixels, set.Pixels) || back.Shape != set.Shape {
		t.Errorf("%v came back as %v", set.Shape, back.Shape)
	}
	var again bytes.Buffer
	if err := WriteNPZ(t.Context(), &again, set); err != nil || !bytes.Equal(again.Bytes(), text) {
		t.Errorf("the same set has another file: %v", err)
	}
	// It is made once.
	if err := os.WriteFile(path, []byte("as it is"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Exported(t.Context(), Spec{Name: syntheticName, Synthetic: &how}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "as it is" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := ExportTo(t.Context(), Spec{Name: "no-such-set"}, filepath.Join(t.TempDir(), "a.npz")); err == nil {
		t.Error("a set that is not there is exported")
	}
}
