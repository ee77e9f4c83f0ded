package wire

import (
	"encoding/binary"
	"fmt"
)

// The flags of a ZMTP 3 frame header, https://rfc.zeromq.org/spec/23/.
const (
	flagMore    = 1 << 0
	flagLong    = 1 << 1
	flagCommand = 1 << 2
)

// maxHeader is the size of a long frame's header: flags and a 64-bit length.
const maxHeader = 9

// header is a parsed frame header.
type header struct {
	flags byte
	size  uint64
}

func (h header) more() bool    { return h.flags&flagMore != 0 }
func (h header) command() bool { return h.flags&flagCommand != 0 }

// headerSize says how long the header is that begins with these flags.
func headerSize(flags byte) int {
	if flags&flagLong != 0 {
		return maxHeader
	}
	return 2
}

// parseHeader reads the header at the start of b, which holds at least
// headerSize(b[0]) bytes.
func parseHeader(b []byte) (header, error) {
	h := header{flags: b[0]}
	if h.flags&^(flagMore|flagLong|flagCommand) != 0 {
		return h, fmt.Errorf("frame flags are %#02x, reserved bits must be 0", h.flags)
	}
	if h.command() && h.more() {
		return h, fmt.Errorf("frame flags are %#02x, a command has no further frames", h.flags)
	}
	if h.flags&flagLong != 0 {
		h.size = binary.BigEndian.Uint64(b[1:maxHeader])
	} else {
		h.size = uint64(b[1])
	}
	return h, nil
}

// appendFrame appends a frame with its header to dst.
func appendFrame(dst []byte, flags byte, body []byte) []byte {
	if len(body) > 255 {
		dst = append(dst, flags|flagLong)
		dst = binary.BigEndian.AppendUint64(dst, uint64(len(body)))
	} else {
		dst = append(dst, flags, byte(len(body)))
	}
	return append(dst, body...)
}

// AppendMessage appends the frames of one message, as they go over the wire.
func AppendMessage(dst []byte, frames [][]byte) []byte {
	for i, frame := range frames {
		var flags byte
		if i < len(frames)-1 {
			flags = flagMore
		}
		dst = appendFrame(dst, flags, frame)
	}
	return dst
}

// bounds keeps one incoming message within the limits, frame by frame.
type bounds struct {
	limits Limits
	frames int
	bytes  uint64
}

// add admits one more frame, or says why not. It must be called before
// anything of the frame's claimed size is allocated.
func (b *bounds) add(h header) error {
	b.frames++
	if b.frames > b.limits.Frames {
		return fmt.Errorf("message has more than %d frames", b.limits.Frames)
	}
	if h.size > uint64(b.limits.Message) || b.bytes+h.size > uint64(b.limits.Message) {
		return fmt.Errorf("message of at least %d bytes, at most %d are allowed", b.bytes+h.size, b.limits.Message)
	}
	b.bytes += h.size
	if !h.more() {
		b.frames, b.bytes = 0, 0
	}
	return nil
}
