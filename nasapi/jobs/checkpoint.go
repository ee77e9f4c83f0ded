package jobs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Checkpoint saves data from which a later attempt can go on. It is on the disk
// when Checkpoint returns, and the one before it is kept.
func (t *Task) Checkpoint(data []byte) error { return t.checkpoints.save(data) }

// Restore returns the last whole checkpoint, nil if there is none. A damaged one is
// passed over for the one before it; that it was, and why, becomes an event of kind
// "checkpoint-damaged" and a line in the log, and with no whole one left the job
// begins anew.
func (t *Task) Restore() ([]byte, error) {
	data, damaged, err := t.checkpoints.restore()
	if err != nil {
		return nil, fmt.Errorf("cannot read the checkpoint of job %s: %w", t.job.ID, err)
	}
	for _, why := range damaged {
		fmt.Fprintf(os.Stderr, "job %s: %v\n", t.job.ID, why)
		if err := t.Event("checkpoint-damaged", why.Error()); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// Checkpoints are the two generations of a checkpoint that no job has: a file that a
// person named, and the one before it with .old behind its name.
type Checkpoints struct{ files checkpoints }

// CheckpointsAt keeps checkpoints in a file.
func CheckpointsAt(path string) *Checkpoints {
	return &Checkpoints{checkpoints{disk: osDisk{}, newest: path, older: path + ".old"}}
}

// Save saves data; it is on the disk when Save returns.
func (c *Checkpoints) Save(data []byte) error { return c.files.save(data) }

// Restore returns the newest whole generation, nil if there is none, and what is wrong
// with those that were passed over.
func (c *Checkpoints) Restore() (data []byte, damaged []error, err error) { return c.files.restore() }

// checkpoints are two generations of one file. The newest is moved aside only when
// it is known to be whole, so a damaged one never takes the place of a good one.
type checkpoints struct {
	disk          disk
	newest, older string
	whole         bool // newest was written or read by this process
}

func (c *checkpoints) save(data []byte) error {
	if c.whole {
		if err := c.disk.Rename(c.newest, c.older); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return writeError("set aside", c.newest, err)
		}
	}
	c.whole = false
	if err := writeAtomic(c.disk, c.newest, seal(data), true); err != nil {
		return err
	}
	c.whole = true
	return nil
}

// restore returns the newest whole generation and what is wrong with those that
// were passed over.
func (c *checkpoints) restore() (data []byte, damaged []error, err error) {
	for i, path := range []string{c.newest, c.older} {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		data, err := unseal(text)
		if err != nil {
			damaged = append(damaged, fmt.Errorf("%s is passed over: %w", path, err))
			continue
		}
		c.whole = i == 0
		return data, damaged, nil
	}
	return nil, damaged, nil
}

// A checkpoint's file is this line, the length of the data as eight little-endian
// bytes, the SHA-256 of the data, and the data.
const checkpointHead = "evalnas checkpoint 1\n"

func seal(data []byte) []byte {
	sum := sha256.Sum256(data)
	text := make([]byte, 0, len(checkpointHead)+8+len(sum)+len(data))
	text = append(text, checkpointHead...)
	text = binary.LittleEndian.AppendUint64(text, uint64(len(data)))
	text = append(text, sum[:]...)
	return append(text, data...)
}

func unseal(text []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(text, []byte(checkpointHead))
	if !ok {
		return nil, errors.New("it is no checkpoint of this version")
	}
	if len(rest) < 8+sha256.Size {
		return nil, fmt.Errorf("it ends after %d bytes, in its head", len(text))
	}
	want := binary.LittleEndian.Uint64(rest)
	sum, data := rest[8:8+sha256.Size], rest[8+sha256.Size:]
	if uint64(len(data)) != want {
		return nil, fmt.Errorf("it holds %d bytes of data, not %d", len(data), want)
	}
	if got := sha256.Sum256(data); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("its data has the SHA-256 %x, not %x", got[:8], sum[:8])
	}
	return data, nil
}
