package jobs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func newCheckpoints(dir string) *checkpoints {
	return &checkpoints{disk: osDisk{}, newest: filepath.Join(dir, "checkpoint"), older: filepath.Join(dir, "checkpoint.old")}
}

func save(t *testing.T, c *checkpoints, data ...string) {
	t.Helper()
	for _, d := range data {
		if err := c.save([]byte(d)); err != nil {
			t.Fatal(err)
		}
	}
}

func wantRestored(t *testing.T, c *checkpoints, want string, passedOver int) {
	t.Helper()
	data, damaged, err := c.restore()
	if err != nil || string(data) != want || len(damaged) != passedOver {
		t.Errorf("restored %q, passing over %v, %v; want %q, passing over %d", data, damaged, err, want, passedOver)
	}
}

func TestCheckpointGenerations(t *testing.T) {
	c := newCheckpoints(t.TempDir())
	wantRestored(t, c, "", 0)
	save(t, c, "one")
	wantRestored(t, c, "one", 0)
	save(t, c, "two", "three")
	wantRestored(t, c, "three", 0)
	if err := os.Remove(c.newest); err != nil { // killed between the two renames
		t.Fatal(err)
	}
	wantRestored(t, newCheckpoints(filepath.Dir(c.newest)), "two", 0)
}

// Wherever a byte is changed or the file ends, the older generation is taken, and
// the damaged one never takes its place.
func TestDamagedCheckpointFallsBack(t *testing.T) {
	whole := seal([]byte("newest"))
	damages := [][]byte{nil, append(bytes.Clone(whole), 0)}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1
		damages = append(damages, flipped, whole[:i])
	}
	for _, damage := range damages {
		c := newCheckpoints(t.TempDir())
		save(t, c, "oldest", "newest")
		if err := os.WriteFile(c.newest, damage, 0o644); err != nil {
			t.Fatal(err)
		}
		later := newCheckpoints(filepath.Dir(c.newest))
		wantRestored(t, later, "oldest", 1)
		save(t, later, "next")
		wantRestored(t, newCheckpoints(filepath.Dir(c.newest)), "next", 0)
		older, err := os.ReadFile(c.older)
		if err != nil || !bytes.Equal(older, seal([]byte("oldest"))) {
			t.Fatalf("the good older generation was lost: %q, %v", older, err)
		}
	}
}

func TestNoWholeCheckpointBeginsAnew(t *testing.T) {
	c := newCheckpoints(t.TempDir())
	for _, path := range []string{c.newest, c.older} {
		if err := os.WriteFile(path, []byte("nonsense"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wantRestored(t, c, "", 2)
}

func FuzzUnseal(f *testing.F) {
	f.Add(seal(nil))
	f.Add(seal([]byte("data")))
	f.Add([]byte(checkpointHead))
	f.Fuzz(func(t *testing.T, text []byte) {
		if data, err := unseal(text); err == nil && !bytes.Equal(seal(data), text) {
			t.Errorf("%q was accepted and is no sealed data", text)
		}
	})
}
