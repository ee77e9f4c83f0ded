package data

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// small is a set that is in no way special, as an import gives it.
func small(t testing.TB, name string, seed int64) *Set {
	t.Helper()
	s := mustSynthetic(t, SyntheticSpec{Seed: seed, TrainN: 20, TestN: 7, H: 5, W: 4, C: 3})
	s.Name, s.Synthetic, s.made, s.Source = name, false, nil, "a test"
	return s
}

func mustStore(t testing.TB, c Cache, s *Set) Entry {
	t.Helper()
	e, err := c.Store(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestStoredSetIsFoundByNameAndByDigest(t *testing.T) {
	t.Setenv(FolderVariable, t.TempDir())
	c, err := OpenCache()
	if err != nil {
		t.Fatal(err)
	}
	s := small(t, "pets", 1)
	s.ClassNames = []string{"a", "b", "c", "d"}
	e := mustStore(t, c, s)
	if e.Shape != s.Shape || e.Digest != s.Digest || e.Name != "pets" {
		t.Errorf("stored %+v", e)
	}
	for _, spec := range []Spec{{Name: "pets"}, {Name: "pets", Digest: s.Digest}, {Name: "another", Digest: s.Digest}} {
		got, err := Open(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Pixels, s.Pixels) || fmt.Sprint(got.Labels, got.ClassNames, got.Mean, got.Std, got.Source) != fmt.Sprint(s.Labels, s.ClassNames, s.Mean, s.Std, s.Source) || got.Name != spec.Name {
			t.Errorf("%+v gives another set: %s", spec, got)
		}
	}
	text, err := json.Marshal(e.Spec())
	if want := fmt.Sprintf(`{"name":"pets","digest":%q}`, s.Digest); err != nil || string(text) != want {
		t.Errorf("the spec is %s, want %s (%v)", text, want, err)
	}
	all, err := c.List()
	if err != nil || len(all) != 1 || all[0].Name != "pets" || all[0].Bytes == 0 {
		t.Errorf("the list is %+v, %v", all, err)
	}
}

func TestMissingSet(t *testing.T) {
	c := Cache{t.TempDir()}
	for name, parts := range map[string][]string{
		"cifar10": {"evalnas data fetch cifar10", c.Dir, FolderVariable},
		"cifar11": {`did you mean "cifar10"?`, "evalnas data import PATH --name cifar11", "which has none"},
	} {
		_, err := c.Open(t.Context(), Spec{Name: name})
		var missing *MissingError
		if !errors.As(err, &missing) {
			t.Errorf("%s: the error is %T", name, err)
		}
		wantError(t, err, append(parts, name)...)
	}
	digest := strings.Repeat("ab", 32)
	_, err := c.Open(t.Context(), Spec{Name: "pets", Digest: digest})
	wantError(t, err, digest)
	_, err = c.Open(t.Context(), Spec{Name: "pets", Digest: "ab"})
	wantError(t, err, "64 lower-case hexadecimal")
	_, err = c.Open(t.Context(), Spec{Name: "../pets"})
	wantError(t, err, "no name of a data set")
	if files, _ := os.ReadDir(c.Dir); len(files) > 0 {
		t.Errorf("looking made %v", files)
	}
}

// TestEveryByteIsGuarded flips one bit of each byte of a file in turn.
func TestEveryByteIsGuarded(t *testing.T) {
	c := Cache{t.TempDir()}
	s := small(t, "pets", 1)
	path := mustStore(t, c, s).Path
	whole := readFile(t, path)
	begin := len(whole) - s.N()*int(s.bytesAnImage())
	for at := range whole {
		bad := bytes.Clone(whole)
		bad[at] ^= 1 << (at % 8)
		_, err := readSet(t.Context(), bytes.NewReader(bad), int64(len(bad)))
		var d damaged
		if !errors.As(err, &d) {
			t.Fatalf("with byte %d altered the error is %v", at, err)
		}
		if image := (at - begin - s.N()*34) / s.ImageBytes(); at >= begin+s.N()*34 {
			wantError(t, err, s.Part(image)+" has the digest", fmt.Sprintf("expected %x", s.images[image]))
		} else if at >= begin+s.N()*32 {
			wantError(t, err, s.Part((at-begin-s.N()*32)/2)+" has the digest")
		} else if at >= begin {
			wantError(t, err, s.Part((at-begin)/32), "was altered; the image was not")
		}
	}
	writeFile(t, path, append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1))
	_, err := c.Open(t.Context(), Spec{Name: "pets"})
	var damage *DamageError
	if !errors.As(err, &damage) || damage.Path != path {
		t.Errorf("the error is %v", err)
	}
	wantError(t, err, path, "test image 6 has the digest", "remove it")
}

func TestCutFiles(t *testing.T) {
	c := Cache{t.TempDir()}
	s := small(t, "pets", 1)
	path := mustStore(t, c, s).Path
	whole := readFile(t, path)
	for cut := range whole {
		if _, err := readSet(t.Context(), bytes.NewReader(whole[:cut]), int64(cut)); err == nil {
			t.Fatalf("a file cut after %d of %d bytes was accepted", cut, len(whole))
		}
		// It may also be cut while it is read.
		if _, err := readSet(t.Context(), bytes.NewReader(whole[:cut]), int64(len(whole))); err == nil {
			t.Fatalf("a file that was cut after %d bytes while it was read was accepted", cut)
		}
	}
	writeFile(t, path, whole[:len(whole)-5*s.ImageBytes()-1])
	_, err := c.Resolve(Spec{Name: "pets"}) // without reading images
	wantError(t, err, "cut short", "ends in test image 1", fmt.Sprintf("expected %d", len(whole)))
	writeFile(t, path, append(bytes.Clone(whole), 0))
	_, err = c.Resolve(Spec{Name: "pets"})
	wantError(t, err, fmt.Sprintf("%d bytes, expected %d", len(whole)+1, len(whole)))

	all, err := c.List()
	if err != nil || len(all) != 1 || all[0].Problem == "" || all[0].Name != "pets" {
		t.Errorf("the list is %+v, %v", all, err)
	}
	mustStore(t, c, s) // replaces what is damaged
	if got := readFile(t, path); !bytes.Equal(got, whole) {
		t.Error("a damaged file was not replaced")
	}
}

func TestANameMeansOneSet(t *testing.T) {
	c := Cache{t.TempDir()}
	first, second := small(t, "pets", 1), small(t, "pets", 2)
	if _, err := c.keep(t.Context(), first, false); err != nil {
		t.Fatal(err)
	}
	_, err := c.keep(t.Context(), second, false)
	wantError(t, err, `"pets" means another set`, first.Digest[:12], second.Digest[:12], "--name", "--replace")
	if _, err := c.keep(t.Context(), second, true); err != nil {
		t.Fatal(err)
	}
	if e, err := c.Resolve(Spec{Name: "pets"}); err != nil || e.Digest != second.Digest {
		t.Errorf("the name means %v, %v", e, err)
	}
	if _, err := c.Open(t.Context(), first.Spec()); err != nil {
		t.Errorf("the former set cannot be found by its digest: %v", err)
	}
	writeFile(t, c.nameFile("pets"), []byte("garbage"))
	_, err = c.Resolve(Spec{Name: "pets"})
	wantError(t, err, c.nameFile("pets"), "damaged")
	all, err := c.List()
	if err != nil || len(all) != 3 {
		t.Errorf("the list is %+v, %v", all, err)
	}
}

func TestStoreLeavesNothingBehind(t *testing.T) {
	c := Cache{t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := small(t, "pets", 1)
	if _, err := c.Store(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context ended the error is %v", err)
	}
	s.images[3][0]++ // as if memory were faulty: what was written does not verify
	if _, err := c.Store(t.Context(), s); err == nil {
		t.Error("a set that does not verify was stored")
	}
	files, err := os.ReadDir(c.Dir)
	if err != nil || len(files) != 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	blocked := writeFile(t, filepath.Join(t.TempDir(), "file"), nil)
	_, err = Cache{filepath.Join(blocked, "data")}.Store(t.Context(), small(t, "pets", 1))
	wantError(t, err, blocked)
}

func FuzzReadSet(f *testing.F) {
	s := small(f, "pets", 1)
	var b bytes.Buffer
	if err := writeSet(context.Background(), &b, s); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:200])
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := readSet(t.Context(), bytes.NewReader(content), int64(len(content)))
		if err == nil && got.Digest != got.Shape.digest(got.imageDigests()) {
			t.Errorf("a set was read that its digest does not fit: %s", got)
		}
	})
}
