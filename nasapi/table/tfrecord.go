package table

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"
)

// A TFRecord file is a sequence of records without a header: the length of the payload in
// 8 bytes, a checksum of those 8 bytes, the payload, a checksum of the payload; all
// little-endian. The checksums are CRC-32C, rotated and shifted by a constant
// (seed specification, section 4.1).
const (
	frameHead = 12 // length and its checksum
	frameTail = 4

	// A record of the data set has some 400 bytes.
	maxPayload = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func maskedCRC(data []byte) uint32 {
	c := crc32.Checksum(data, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// RecordError says which record of a file is wrong and why.
type RecordError struct {
	Path   string
	Number int64 // from 1
	Offset int64 // of the record's first byte in the file
	Err    error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("%s: record %d at byte %d: %v", e.Path, e.Number, e.Offset, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }

// chunk is a run of whole records.
type chunk struct {
	data   []byte // up to the end of the last whole record
	buffer []byte // data and what was read behind it
	number int64  // of the first record, from 1
	offset int64  // of data in the file
	// tail is what is wrong behind data.
	tail *RecordError

	records []record
	bad     *RecordError // of the first record that records lacks
	parsed  chan struct{}
}

// chunkSize fits a processor's own cache, with what is made of it.
const chunkSize = 1 << 20

// chunks cuts a stream of records into chunks. It walks from length to length, so that
// what it returns are whole records, but it leaves the payloads to others.
type chunks struct {
	in     io.Reader
	number int64
	offset int64
	rest   []byte // the beginning of a record
	ended  bool
}

// next fills c and reports whether more may follow.
func (s *chunks) next(c *chunk) (more bool, err error) {
	c.buffer = append(c.buffer[:0], s.rest...)
	c.number, c.offset, c.tail = s.number+1, s.offset, nil
	want := max(chunkSize, frameSize(c.buffer))
	if cap(c.buffer) < want {
		c.buffer = append(make([]byte, 0, want), c.buffer...)
	}
	have := len(c.buffer)
	n, err := io.ReadFull(s.in, c.buffer[have:want])
	c.buffer = c.buffer[:have+n]
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	s.ended = err != nil
	s.cut(c)
	return !s.ended && c.tail == nil, nil
}

// frameSize is that of the record which data begins with, 0 where it is not known yet.
func frameSize(data []byte) int {
	if len(data) < frameHead {
		return 0
	}
	return frameHead + int(binary.LittleEndian.Uint64(data)) + frameTail
}

// cut finds the end of the last whole record.
func (s *chunks) cut(c *chunk) {
	end := 0
	for {
		left := c.buffer[end:]
		if len(left) == 0 {
			break
		}
		size, err := s.frame(left)
		if err != nil {
			c.tail = &RecordError{Number: s.number + 1, Offset: s.offset, Err: err}
			break
		}
		if size == 0 {
			break // the next chunk has it
		}
		end += size
		s.number++
		s.offset += int64(size)
	}
	c.data = c.buffer[:end]
	s.rest = append(s.rest[:0], c.buffer[end:]...)
}

// frame is the size of the record that data begins with; 0 where more must be read.
func (s *chunks) frame(data []byte) (int, error) {
	if len(data) < frameHead {
		if s.ended {
			return 0, fmt.Errorf("the file ends after %d of the %d bytes of the record's head: it is cut short", len(data), frameHead)
		}
		return 0, nil
	}
	if got, want := maskedCRC(data[:8]), binary.LittleEndian.Uint32(data[8:]); got != want {
		return 0, fmt.Errorf("the checksum of its length is %08x, the file has %08x: bytes were changed on the way", got, want)
	}
	length := binary.LittleEndian.Uint64(data)
	if length > maxPayload {
		return 0, fmt.Errorf("it is %d bytes long; records of NASBench-101 have some 400, and at most %d are read", length, maxPayload)
	}
	size := frameHead + int(length) + frameTail
	if len(data) >= size {
		return size, nil
	}
	if s.ended {
		return 0, fmt.Errorf("the file ends after %d of its %d bytes: it is cut short", len(data), size)
	}
	return 0, nil
}

// parse reads the records of a chunk up to the first that is wrong.
func (c *chunk) parse(p *recordParser) {
	c.records, c.bad = c.records[:0], nil
	for at := 0; at < len(c.data); {
		length := int(binary.LittleEndian.Uint64(c.data[at:]))
		payload := c.data[at+frameHead : at+frameHead+length]
		c.records = append(c.records, record{})
		r := &c.records[len(c.records)-1]
		r.offset = c.offset + int64(at)
		err := checkPayload(payload, c.data[at+frameHead+length:])
		if err == nil {
			err = p.parse(payload, r)
		}
		if err != nil {
			c.records = c.records[:len(c.records)-1]
			c.bad = &RecordError{Number: c.number + int64(len(c.records)), Offset: r.offset, Err: err}
			return
		}
		at += frameHead + length + frameTail
	}
}

func checkPayload(payload, behind []byte) error {
	if got, want := maskedCRC(payload), binary.LittleEndian.Uint32(behind); got != want {
		return fmt.Errorf("the checksum of its data is %08x, the file has %08x: bytes were changed on the way", got, want)
	}
	return nil
}

// eachChunk reads a file of records on all cores and hands its chunks over in order, so
// that what is made of them, and the first error, do not depend on the cores.
//
// One goroutine reads and one for each core parses; all have ended when it returns.
func eachChunk(ctx context.Context, in io.Reader, use func(*chunk) error) error {
	workers := runtime.GOMAXPROCS(0)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	todo := make(chan *chunk, workers)
	ordered := make(chan *chunk, 2*workers)
	free := make(chan *chunk, 2*workers+2)
	for range cap(free) {
		free <- &chunk{parsed: make(chan struct{}, 1)}
	}
	var failed error // of reading; it may be looked at when ordered is closed
	running.Go(func() {
		defer close(todo)
		defer close(ordered)
		failed = readChunks(ctx, &chunks{in: in}, free, todo, ordered)
	})
	for range workers {
		running.Go(func() {
			p := newRecordParser()
			for c := range todo {
				c.parse(p)
				c.parsed <- struct{}{}
			}
		})
	}
	for c := range ordered {
		<-c.parsed
		if err := use(c); err != nil {
			return err
		}
		free <- c
	}
	return failed
}

func readChunks(ctx context.Context, s *chunks, free <-chan *chunk, todo, ordered chan<- *chunk) error {
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var c *chunk
		select {
		case c = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		var err error
		if more, err = s.next(c); err != nil {
			return err
		}
		// Both have room for every chunk that there is, or someone takes from them until
		// the context ends.
		for _, to := range []chan<- *chunk{todo, ordered} {
			select {
			case to <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}
