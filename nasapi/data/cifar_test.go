package data

import (
	"bytes"
	"encoding/json"
	"image"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeCIFAR10 are the files of an archive with a few images each, in the order
// in which the official archive has them: not that of the batches.
func fakeCIFAR10() (names []string, files map[string][]byte) {
	files = map[string][]byte{}
	for i, name := range cifar10Layout.train {
		files["cifar-10-batches-bin/"+name] = records(4*i, 4, 1, 10)
	}
	files["cifar-10-batches-bin/test_batch.bin"] = records(100, 5, 1, 10)
	files["cifar-10-batches-bin/batches.meta.txt"] = []byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n")
	files["cifar-10-batches-bin/readme.html"] = []byte("<p>")
	for _, n := range []string{"data_batch_1.bin", "batches.meta.txt", "data_batch_3.bin", "data_batch_4.bin", "test_batch.bin", "readme.html", "data_batch_5.bin", "data_batch_2.bin"} {
		names = append(names, "cifar-10-batches-bin/"+n)
	}
	return names, files
}

// checkFake holds a set of records(0, train) and records(100, test) against them.
func checkFake(t *testing.T, s *Set, train, test int) {
	t.Helper()
	if s.TrainN != train || s.TestN != test || s.H != 32 || s.W != 32 || s.C != 3 {
		t.Fatalf("the set is %s", s.Shape)
	}
	for i := range s.N() {
		number := i
		if i >= train {
			number = 100 + i - train
		}
		if want := number % s.Classes; int(s.Labels[i]) != want {
			t.Fatalf("%s has the label %d, want %d", s.Part(i), s.Labels[i], want)
		}
		for at, got := range s.Image(i) {
			channel, place := at%3, at/3
			if want := someByte(number, channel*cifarPlane+place); got != want {
				t.Fatalf("%s, channel %d of pixel %d: %d, want %d", s.Part(i), channel, place, got, want)
			}
		}
	}
}

func TestCIFARArchiveIsReadInTheOfficialOrder(t *testing.T) {
	names, files := fakeCIFAR10()
	path := writeFile(t, filepath.Join(t.TempDir(), "cifar-10-binary.tar.gz"), packed(t, names, files))
	s := mustRead(t, path, ImportOptions{Name: "fake"})
	checkFake(t, s, 20, 5)
	if !slices.Equal(s.ClassNames, strings.Split("abcdefghij", "")) {
		t.Errorf("the classes are called %q", s.ClassNames)
	}

	// The folder it is unpacked to, and the folder around that, are the same set.
	dir := t.TempDir()
	for _, n := range names {
		writeFile(t, filepath.Join(dir, n), files[n])
	}
	for _, from := range []string{dir, filepath.Join(dir, "cifar-10-batches-bin")} {
		if got := mustRead(t, from, ImportOptions{Name: "fake"}); got.Digest != s.Digest {
			t.Errorf("%s gives the digest %s, the archive %s", from, got.Digest, s.Digest)
		}
	}
}

func TestCIFAR100TakesFineLabels(t *testing.T) {
	files := map[string][]byte{"c/train.bin": records(0, 120, 2, 100), "c/test.bin": records(100, 7, 2, 100)}
	path := writeFile(t, filepath.Join(t.TempDir(), "x.tar.gz"), packed(t, []string{"c/test.bin", "c/train.bin"}, files))
	s := mustRead(t, path, ImportOptions{Name: "fake"})
	checkFake(t, s, 120, 7)
	if s.Classes != 100 {
		t.Errorf("%d classes", s.Classes)
	}
}

func TestPublicNamesAreKept(t *testing.T) {
	names, files := fakeCIFAR10()
	path := writeFile(t, filepath.Join(t.TempDir(), "cifar-10-binary.tar.gz"), packed(t, names, files))
	for _, name := range []string{"", "cifar10", "mnist", "synthetic"} {
		_, err := Read(t.Context(), path, ImportOptions{Name: name})
		wantError(t, err, path, "--name")
	}
	_, err := Read(t.Context(), path, ImportOptions{})
	wantError(t, err, "it has 20 + 5 images", "50000 + 10000 images", "CIFAR-10")
}

// TestCIFAR100NeedsItsFiles: there is no digest of it to compare with, so images
// of its shape from elsewhere do not get its name.
func TestCIFAR100NeedsItsFiles(t *testing.T) {
	s := &Set{Name: "x", Shape: known["cifar100"].Shape}
	err := (&source{set: s, path: "x.npz"}).differs(known["cifar100"])
	wantError(t, err, "x.npz", "recognised by its official files test.bin, train.bin alone", "--name")
	err = (&source{set: s, path: "x", files: map[string]string{"train.bin": "ab"}}).differs(known["cifar100"])
	wantError(t, err, "train.bin has the SHA-256 ab", known["cifar100"].files["train.bin"])
	if !known["cifar100"].matches(known["cifar100"].files) || known["cifar100"].matches(map[string]string{"train.bin": "ab"}) {
		t.Error("the official files are not told from others")
	}
}

func TestCIFARThatIsDamaged(t *testing.T) {
	names, files := fakeCIFAR10()
	third := "cifar-10-batches-bin/data_batch_3.bin"
	whole := packed(t, names, files)
	dir := t.TempDir()
	read := func(content []byte) error {
		_, err := Read(t.Context(), writeFile(t, filepath.Join(dir, "c.tar.gz"), content), ImportOptions{Name: "fake"})
		return err
	}
	if err := read(whole); err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		if cut%97 == 0 && cut < len(whole)-8 {
			if err := read(whole[:cut]); err == nil {
				t.Fatalf("an archive cut after %d of %d bytes was accepted", cut, len(whole))
			}
		}
	}

	with := func(name string, content []byte) []byte {
		changed := map[string][]byte{}
		for k, v := range files {
			changed[k] = v
		}
		changed[name] = content
		return packed(t, names, changed)
	}
	wantError(t, read(with(third, files[third][:2*3073+17])), "data_batch_3.bin was cut short", "17 bytes of its image 2", known["cifar10"].files["data_batch_3.bin"])
	wantError(t, read(with(third, nil)), "data_batch_3.bin was cut short")
	odd := bytes.Clone(files[third])
	odd[3073] = 10
	wantError(t, read(with(third, odd)), "data_batch_3.bin was altered", "its image 1 has the label 10", "0 to 9")

	wantError(t, read(packed(t, names[:6], files)), "data_batch_2.bin, data_batch_5.bin is missing")
	wantError(t, read(packed(t, []string{"a"}, map[string][]byte{"a": []byte("b")})), "none of the files", "cifar-10-binary.tar.gz")
	wantError(t, read(packed(t, []string{"cifar-10-batches-py/data_batch_1"}, nil)), "Python version", "binary version")
	wantError(t, read(gzipped(t, idxFile([]byte{1}, 1))), "one idx file")

	writeFile(t, filepath.Join(dir, "py", "cifar-10-batches-py", "batches.meta"), []byte("x"))
	for _, p := range []string{"py", "py/cifar-10-batches-py"} {
		_, err := Read(t.Context(), filepath.Join(dir, p), ImportOptions{})
		wantError(t, err, "Python version")
	}
}

// fakeNPM is the npm package's tarball with the images of fakeCIFAR10.
func fakeNPM(t *testing.T, change func(files map[string][]byte)) []byte {
	t.Helper()
	files := map[string][]byte{}
	var labels []int
	for b, name := range npmTrain {
		files["package/"+name] = rowsPNG(t, 4*b, 4)
		for i := range 4 {
			labels = append(labels, (4*b+i)%10)
		}
	}
	files["package/"+npmTest] = rowsPNG(t, 100, 5)
	files["package/"+npmTrainLabels] = toJSON(t, labels)
	files["package/"+npmTestLabels] = toJSON(t, []int{0, 1, 2, 3, 4})
	if change != nil {
		change(files)
	}
	return packed(t, sortedKeys(files), files)
}

func toJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rowsPNG has an image of records a row.
func rowsPNG(t *testing.T, first, n int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, cifarPlane, n))
	for i := range n {
		for p := range cifarPlane {
			to := img.Pix[i*img.Stride+4*p:]
			for c := range 3 {
				to[c] = someByte(first+i, c*cifarPlane+p)
			}
			to[3] = 255
		}
	}
	return encodePNG(t, img)
}

func TestNPMPackageIsTheSameSet(t *testing.T) {
	dir := t.TempDir()
	tgz := fakeNPM(t, nil)
	s := mustRead(t, writeFile(t, filepath.Join(dir, npmTarball), tgz), ImportOptions{Name: "fake"})
	checkFake(t, s, 20, 5)
	names, files := fakeCIFAR10()
	official := mustRead(t, writeFile(t, filepath.Join(dir, "c.tar.gz"), packed(t, names, files)), ImportOptions{Name: "fake"})
	if s.Digest != official.Digest {
		t.Errorf("the package gives the digest %s, the official archive %s", s.Digest, official.Digest)
	}

	for text, change := range map[string]func(map[string][]byte){
		"train_lables.json has 19 labels for 20 images": func(f map[string][]byte) { f["package/"+npmTrainLabels] = toJSON(t, make([]int, 19)) },
		"train_lables.json is no list of labels":        func(f map[string][]byte) { f["package/"+npmTrainLabels] = []byte("[1, 2") },
		"test_batch.png is missing":                     func(f map[string][]byte) { delete(f, "package/"+npmTest) },
		"data_batch_2.png: it was cut short or altered": func(f map[string][]byte) { f["package/data_batch_2.png"] = f["package/data_batch_2.png"][:99] },
		"one image a row is 1024 pixels":                func(f map[string][]byte) { f["package/data_batch_2.png"] = pngFile(t, 4, 4, image.Black) },
	} {
		_, err := Read(t.Context(), writeFile(t, filepath.Join(dir, "bad.tgz"), fakeNPM(t, change)), ImportOptions{Name: "fake"})
		wantError(t, err, text)
	}
}

func TestFilesOfNoKnownKind(t *testing.T) {
	dir := t.TempDir()
	_, err := Read(t.Context(), filepath.Join(dir, "none"), ImportOptions{})
	wantError(t, err, "none")
	_, err = Read(t.Context(), writeFile(t, filepath.Join(dir, "a.txt"), []byte("hello")), ImportOptions{})
	wantError(t, err, `begins with "hell"`, ".npz arrays", "cifar-10-binary.tar.gz")
	_, err = Read(t.Context(), writeFile(t, filepath.Join(dir, "b"), []byte("x")), ImportOptions{})
	wantError(t, err, "less than 4 bytes")
	_, err = Read(t.Context(), dir, ImportOptions{Name: "No Name"})
	wantError(t, err, "No Name", "a-z, 0-9")
	_, err = Read(t.Context(), dir, ImportOptions{TestShare: 1.5})
	wantError(t, err, "1.5", "below 1")
}
