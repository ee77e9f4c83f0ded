package kernel

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// delimiter stands between the routing identities and the message.
var delimiter = []byte("<IDS|MSG>")

// protocolVersion is 5.5: IOPub welcomes its subscribers, and kernel_info is
// answered on the control channel too.
const protocolVersion = "5.5"

// header identifies a message.
type header struct {
	MsgID    string `json:"msg_id"`
	Session  string `json:"session"`
	Username string `json:"username"`
	Date     string `json:"date"` // ISO 8601
	MsgType  string `json:"msg_type"`
	Version  string `json:"version"`
}

// message is one message as it was received.
type message struct {
	ids       [][]byte // ids[0] is the peer's key, see package wire
	header    header
	rawHeader json.RawMessage // as it came, to be echoed as the parent
	metadata  json.RawMessage
	content   json.RawMessage
	signature []byte // in lower case; empty where messages are not signed
	size      int    // bytes of all frames, with those that are not looked at
}

// emptyObject is a header, metadata or content without fields. null would
// break clients.
var emptyObject = json.RawMessage("{}")

// signer computes signatures; with an empty key they are empty.
type signer struct{ key []byte }

// parts are the four signed frames: header, parent header, metadata, content.
func (s signer) sign(parts [][]byte) []byte {
	if len(s.key) == 0 {
		return nil
	}
	sum := s.mac(parts)
	return hex.AppendEncode(nil, sum)
}

func (s signer) mac(parts [][]byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

var errSignature = errors.New("the signature does not match the connection's key")

// verify takes as long for any wrong signature of the right length.
func (s signer) verify(signature []byte, parts [][]byte) error {
	if len(s.key) == 0 {
		return nil
	}
	given := make([]byte, hex.DecodedLen(len(signature)))
	if _, err := hex.Decode(given, signature); err != nil {
		return errSignature
	}
	if !hmac.Equal(given, s.mac(parts)) {
		return errSignature
	}
	return nil
}

// parseMessage reads and checks a message. Its parts share memory with frames.
func parseMessage(frames [][]byte, s signer) (*message, error) {
	at := -1
	for i, frame := range frames {
		if bytes.Equal(frame, delimiter) {
			at = i
			break
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("message of %d frames has no delimiter %s", len(frames), delimiter)
	}
	rest := frames[at+1:]
	if len(rest) < 5 {
		return nil, fmt.Errorf("message has %d frames after the delimiter, 5 are the least: signature, header, parent header, metadata, content", len(rest))
	}
	parts := rest[1:5]
	if err := s.verify(rest[0], parts); err != nil {
		return nil, err
	}
	m, err := decodeMessage(frames[:at], parts)
	if err != nil {
		return nil, err
	}
	if len(s.key) > 0 {
		m.signature = bytes.ToLower(rest[0])
	}
	for _, frame := range frames {
		m.size += len(frame)
	}
	return m, nil
}

// decodeMessage reads a message whose header is sound: whoever sent it may wait for an answer, which
// says what is wrong with the rest.
func decodeMessage(ids, parts [][]byte) (*message, error) {
	if !isObject(parts[0]) {
		return nil, errors.New("message header is not a JSON object")
	}
	m := &message{ids: ids, rawHeader: parts[0], metadata: parts[2], content: parts[3]}
	if !isObject(m.metadata) { // some clients write null
		m.metadata = emptyObject
	}
	var err error
	m.header, err = decodeHeader(parts[0])
	return m, err
}

// decodeHeader reads a header. Only what a reply cannot be without has to be sound: other fields
// of a wrong type are taken as empty, and come back in the parent header as they are.
func decodeHeader(raw json.RawMessage) (header, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return header{}, fmt.Errorf("message header: %w", err)
	}
	for _, name := range []string{"msg_type", "msg_id"} {
		value, given := fields[name]
		if given && !bytes.HasPrefix(value, []byte(`"`)) {
			return header{}, fmt.Errorf("message header: %s is %.40s; it must be a string", name, value)
		}
	}
	text := func(name string) (s string) {
		if json.Unmarshal(fields[name], &s) != nil {
			return ""
		}
		return s
	}
	h := header{MsgID: text("msg_id"), Session: text("session"), Username: text("username"),
		Date: text("date"), MsgType: text("msg_type"), Version: text("version")}
	if h.MsgType == "" {
		return h, errors.New("message header has no msg_type")
	}
	return h, nil
}

// unmarshal reads an object into a struct. Its errors say in JSON's words which field does not fit.
func unmarshal(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err
	}
	wanted := "a " + wrong.Type.String()
	switch wrong.Type.Kind() {
	case reflect.Bool:
		wanted = "true or false"
	case reflect.Int:
		wanted = "a whole number"
	case reflect.Map, reflect.Struct:
		wanted = "an object"
	}
	return fmt.Errorf("%s has a value of the type %s; it must be %s", wrong.Field, wrong.Value, wanted)
}

func isObject(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	return len(b) > 0 && b[0] == '{' && json.Valid(b)
}

// encodeMessage builds the frames from the delimiter on.
func encodeMessage(s signer, h header, parent, metadata, content json.RawMessage) ([][]byte, error) {
	head, err := encodeJSON(h)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", h.MsgType, err)
	}
	parts := [][]byte{head, orEmpty(parent), orEmpty(metadata), orEmpty(content)}
	return append([][]byte{delimiter, s.sign(parts)}, parts...), nil
}

func orEmpty(b json.RawMessage) json.RawMessage {
	if len(b) == 0 {
		return emptyObject
	}
	return b
}

// encodeJSON is json.Marshal without the escaping of < > &, which makes HTML
// output a third longer.
func encodeJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// object is the content of a message that we send.
type object map[string]any
