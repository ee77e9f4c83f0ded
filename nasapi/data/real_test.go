package data

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the files in sums from the data folder")

// openReal opens a public set, or skips the test where it is not in the data
// folder.
func openReal(t *testing.T, name string) *Set {
	t.Helper()
	s, err := Open(t.Context(), Spec{Name: name})
	var missing *MissingError
	if errors.As(err, &missing) {
		t.Skipf("the real images are not at hand: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// officialCIFAR writes images as the official binary files have them.
func officialCIFAR(s *Set, from, n int) []byte {
	b := make([]byte, 0, n*(1+cifarImage))
	for i := from; i < from+n; i++ {
		b = append(b, byte(s.Labels[i]))
		for c := range 3 {
			for p := range cifarPlane {
				b = append(b, s.Image(i)[3*p+c])
			}
		}
	}
	return b
}

// TestRealCIFAR10 works back to the official files: their SHA-256 are widely
// known, so the pinned digest is that of the official images, order and all.
func TestRealCIFAR10(t *testing.T) {
	s := openReal(t, "cifar10")
	if !slices.Equal(s.Pixels[:3], []byte{59, 62, 63}) {
		t.Errorf("the first image begins with %v", s.Pixels[:3])
	}
	if !slices.Equal(s.Labels[:6], []uint16{6, 9, 9, 4, 1, 1}) || !slices.Equal(s.Labels[50000:50004], []uint16{3, 8, 8, 0}) {
		t.Errorf("labels begin with %v and %v", s.Labels[:6], s.Labels[50000:50004])
	}
	for i, name := range append(slices.Clone(cifar10Layout.train), cifar10Layout.test) {
		if got := fmt.Sprintf("%x", sha256.Sum256(officialCIFAR(s, 10000*i, 10000))); got != known["cifar10"].files[name] {
			t.Errorf("%s would have the SHA-256 %s, the official one has %s", name, got, known["cifar10"].files[name])
		}
	}
	counts := [2][10]int{}
	for i, l := range s.Labels {
		counts[i/50000][l]++
	}
	for k := range 10 {
		if counts[0][k] != 5000 || counts[1][k] != 1000 {
			t.Errorf("class %d has %d + %d images", k, counts[0][k], counts[1][k])
		}
	}
	// DARTS's constants are those of the train part, summed in single precision;
	// NASBench's are rounded.
	for c := range 3 {
		n, b := DARTSNorm(s), NASBenchNorm(s)
		if math.Abs(n.Mean[c]-s.Mean[c]) > 1e-6 || math.Abs(n.Std[c]-s.Std[c]) > 1e-6 {
			t.Errorf("channel %d has %.8f and %.8f, DARTS uses %v and %v", c, s.Mean[c], s.Std[c], n.Mean[c], n.Std[c])
		}
		if math.Abs(b.Mean[c]-255*s.Mean[c]) > 0.05 || math.Abs(b.Std[c]-255*s.Std[c]) > 0.05 {
			t.Errorf("channel %d has %.3f and %.3f of 255, NASBench uses %v and %v", c, 255*s.Mean[c], 255*s.Std[c], b.Mean[c], b.Std[c])
		}
	}
	// Both protocols' splits keep all classes to train on.
	for _, split := range []Split{Development(0.1, 0), NASBenchSplit(), SearchSplit(), WholeSplit()} {
		if _, err := split.Apply(s); err != nil {
			t.Error(err)
		}
	}
}

// TestKnownSums holds the checked-in sums against the sets that are there, and
// finds altered images by them.
func TestKnownSums(t *testing.T) {
	for _, name := range []string{"cifar10", "mnist", "fashion-mnist"} {
		t.Run(name, func(t *testing.T) {
			s := openReal(t, name)
			k := known[name]
			rows, columns := gridSums(s.images)
			text := strings.Join(slices.Concat(rows, columns), "\n") + "\n"
			if *update {
				writeFile(t, "sums/"+name, []byte(text))
				return // the program has the former ones inside
			}
			if string(readFile(t, "sums/"+name)) != text {
				t.Errorf("sums/%s differs; -update rewrites it", name)
			}
			images := slices.Clone(s.images)
			alter := func(changed ...int) string {
				bad := *s
				bad.images = slices.Clone(images)
				for _, i := range changed {
					bad.images[i][0]++
				}
				return k.altered(&bad)
			}
			for _, c := range []struct {
				changed []int
				want    string
			}{
				{nil, ""},
				{[]int{31234}, "train image 31234"},
				{[]int{s.TrainN + 9999}, "test image 9999"},
				{[]int{500, 501, 502}, "3 images, the first of them train image 500,"},
				{[]int{500, 751}, "at least 2 images, the first of them between train image 500 and train image 501,"},
				{upTo(0, s.N()), ""},
			} {
				if got := alter(c.changed...); got != c.want {
					t.Errorf("with %d images altered: %q, want %q", len(c.changed), got, c.want)
				}
			}
		})
	}
}

// TestAlteredOfficialFile alters one bit of one image of the real set's files.
func TestAlteredOfficialFile(t *testing.T) {
	if testing.Short() {
		t.Skip("reads and writes a gigabyte, which is not at hand in short tests")
	}
	s := openReal(t, "cifar10")
	dir := t.TempDir()
	for i, name := range append(slices.Clone(cifar10Layout.train), cifar10Layout.test) {
		b := officialCIFAR(s, 10000*i, 10000)
		if i == 3 {
			b[1234*3073+500] ^= 4
		}
		writeFile(t, dir+"/"+name, b)
	}
	_, err := Read(t.Context(), dir, ImportOptions{})
	wantError(t, err, dir, "train image 31234 differs", "data_batch_4.bin has the SHA-256", known["cifar10"].files["data_batch_4.bin"], "--name")
	own := mustRead(t, dir, ImportOptions{Name: "my-cifar"})
	if own.Digest == s.Digest || own.Name != "my-cifar" {
		t.Errorf("under a name of its own it is %s with the digest %s", own, own.Digest)
	}
	b := officialCIFAR(s, 30000, 10000)
	writeFile(t, dir+"/data_batch_4.bin", b[:5000*3073+1])
	_, err = Read(t.Context(), dir, ImportOptions{})
	wantError(t, err, "data_batch_4.bin was cut short", "1 bytes of its image 5000", known["cifar10"].files["data_batch_4.bin"])
	writeFile(t, dir+"/data_batch_4.bin", b)
	if whole := mustRead(t, dir, ImportOptions{}); whole.Digest != s.Digest || whole.Name != "cifar10" {
		t.Errorf("the official files give %s with the digest %s", whole, whole.Digest)
	}
}
