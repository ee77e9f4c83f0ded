package data

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	red  = color.RGBA{200, 10, 10, 255}
	blue = color.RGBA{10, 10, 200, 255}
)

// petsFolder has 6 cats, red, and 4 dogs, blue, of 5x4.
func petsFolder(t *testing.T, under string) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 6 {
		writeFile(t, filepath.Join(dir, under, "cats", fmt.Sprintf("%d.png", i)), pngFile(t, 5, 4, red))
	}
	for i := range 4 {
		writeFile(t, filepath.Join(dir, under, "dogs", fmt.Sprintf("%d.PNG", i)), pngFile(t, 5, 4, blue))
	}
	return dir
}

func TestFolderOfImages(t *testing.T) {
	dir := petsFolder(t, "")
	writeFile(t, filepath.Join(dir, "cats", ".hidden.png"), []byte("no image"))
	writeFile(t, filepath.Join(dir, "dogs", "notes.txt"), []byte("no image"))
	var notes []string
	o := ImportOptions{Name: "pets", TestShare: 0.3, Seed: 1, Events: Events{Note: func(n string) { notes = append(notes, n) }}}
	s := mustRead(t, dir, o)
	if s.String() != "pets: 7 + 3 images of 5x4x3 in 2 classes" || !slices.Equal(s.ClassNames, []string{"cats", "dogs"}) {
		t.Fatalf("the set is %s of %q", s, s.ClassNames)
	}
	counts := [2]int{}
	for i := range s.N() {
		counts[s.Labels[i]]++
		want := []color.RGBA{red, blue}[s.Labels[i]]
		if got := s.Image(i); !bytes.Equal(got[:3], []byte{1, 2, 3}) || !bytes.Equal(got[3:6], []byte{want.R, want.G, want.B}) {
			t.Errorf("%s of class %d begins with %v", s.Part(i), s.Labels[i], got[:6])
		}
	}
	if counts != [2]int{6, 4} {
		t.Errorf("%v images of the classes", counts)
	}
	if all := strings.Join(notes, "\n"); !strings.Contains(all, "1 files are no images and were not read: "+filepath.Join("dogs", "notes.txt")) {
		t.Errorf("the notes are %q", notes)
	}
	if slices.IsSorted(s.Labels[:7]) {
		t.Errorf("the train part lies class by class: %v", s.Labels)
	}
}

func TestFolderWithParts(t *testing.T) {
	dir := petsFolder(t, "train")
	for class, c := range map[string]color.RGBA{"cats": red, "dogs": blue} {
		writeFile(t, filepath.Join(dir, "test", class, "x.png"), pngFile(t, 5, 4, c))
	}
	s := mustRead(t, dir, ImportOptions{Name: "pets"})
	if s.Shape != (Shape{TrainN: 10, TestN: 2, H: 5, W: 4, C: 3, Classes: 2}) || s.Labels[10] != 0 || s.Labels[11] != 1 {
		t.Errorf("the set is %s with the test labels %v", s, s.Labels[10:])
	}
	_, err := Read(t.Context(), dir, ImportOptions{TestShare: 0.1})
	wantError(t, err, "it has the folder test")

	// An image left out of train does not move one of test into it.
	writeFile(t, filepath.Join(dir, "train", "cats", "0.png"), pngFile(t, 9, 9, red))
	s = mustRead(t, dir, ImportOptions{Name: "pets", SkipUnreadable: true})
	if s.TrainN != 9 || s.TestN != 2 || s.Labels[9] != 0 || s.Labels[10] != 1 || !strings.Contains(s.Source, "1 left out") {
		t.Errorf("the set is %s with the test labels %v, from %q", s, s.Labels[9:], s.Source)
	}

	if err := os.Rename(filepath.Join(dir, "test", "dogs"), filepath.Join(dir, "test", "birds")); err != nil {
		t.Fatal(err)
	}
	_, err = Read(t.Context(), dir, ImportOptions{})
	wantError(t, err, "train has the classes cats, dogs", "test has birds, cats")
	writeFile(t, filepath.Join(dir, "val", "cats", "0.png"), nil)
	_, err = Read(t.Context(), dir, ImportOptions{})
	wantError(t, err, "val beside train")
}

func TestImagesThatCannotBeUsed(t *testing.T) {
	dir := petsFolder(t, "")
	good := mustRead(t, dir, ImportOptions{Name: "pets"})
	odd := filepath.Join("cats", "odd.png")
	writeFile(t, filepath.Join(dir, odd), pngFile(t, 4, 5, red))
	cut := filepath.Join("cats", "cut.png")
	whole := pngFile(t, 5, 4, red)
	writeFile(t, filepath.Join(dir, cut), whole[:len(whole)-20])
	text := filepath.Join("dogs", "text.jpg")
	writeFile(t, filepath.Join(dir, text), []byte("no image"))
	clear := filepath.Join("dogs", "clear.png")
	writeFile(t, filepath.Join(dir, clear), pngFile(t, 5, 4, color.RGBA{0, 0, 0, 0}))

	_, err := Read(t.Context(), dir, ImportOptions{Name: "pets"})
	wantError(t, err, "4 of 14 images cannot be used", odd+": it is 4x5 pixels, most images are 5x4",
		cut+": it was cut short", text+": it is neither PNG nor JPEG", clear+": it has transparent pixels", "--skip-unreadable")

	var notes []string
	o := ImportOptions{Name: "pets", SkipUnreadable: true, Events: Events{Note: func(n string) { notes = append(notes, n) }}}
	s := mustRead(t, dir, o)
	if s.Digest != good.Digest {
		t.Errorf("with the bad ones left out the digest is %s, without them %s", s.Digest, good.Digest)
	}
	for _, name := range []string{odd, cut, text, clear} {
		if !slices.ContainsFunc(notes, func(n string) bool { return strings.HasPrefix(n, "left out "+name) }) {
			t.Errorf("%s is not told to be left out: %q", name, notes)
		}
	}

	empty := filepath.Join(dir, "birds")
	writeFile(t, filepath.Join(empty, "bird.png"), []byte("no image"))
	_, err = Read(t.Context(), dir, o)
	wantError(t, err, "no image of the class birds can be used")
	writeFile(t, filepath.Join(dir, "loose.png"), whole)
	_, err = Read(t.Context(), dir, o)
	wantError(t, err, "loose.png lies beside the folders")
	_, err = Read(t.Context(), empty, o)
	wantError(t, err, "bird.png lies beside")
	_, err = Read(t.Context(), t.TempDir(), o)
	wantError(t, err, "this folder has none of it", ".npz arrays")
	deep := t.TempDir()
	writeFile(t, filepath.Join(deep, "a", "b", "c.png"), whole)
	_, err = Read(t.Context(), deep, o)
	wantError(t, err, filepath.Join("a", "b")+" is a folder within a class")
}

func TestGrayAndJPEGImages(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 {
		gray := image.NewGray(image.Rect(0, 0, 6, 6))
		for p := range gray.Pix {
			gray.Pix[p] = byte(10*i + p)
		}
		writeFile(t, filepath.Join(dir, fmt.Sprint(i%2), fmt.Sprintf("%d.png", i)), encodePNG(t, gray))
	}
	s := mustRead(t, dir, ImportOptions{Name: "gray", TestShare: 0.5})
	if s.C != 1 || s.Image(0)[1] != s.Image(0)[0]+1 {
		t.Errorf("the set is %s, its first image %v", s, s.Image(0))
	}
	var b bytes.Buffer
	img := image.NewRGBA(image.Rect(0, 0, 6, 6))
	for i := range 36 {
		img.Set(i%6, i/6, red)
	}
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "0", "9.jpeg"), b.Bytes())
	s = mustRead(t, dir, ImportOptions{Name: "mixed", TestShare: 0.4})
	if s.C != 3 {
		t.Fatalf("with a coloured image the set is %s", s)
	}
	found := false
	for i := range s.N() {
		p := s.Image(i)
		found = found || p[0] > 195 && p[0] < 205 && p[1] < 15 && p[2] < 15
	}
	if !found {
		t.Error("the JPEG's colour is not there")
	}
}
