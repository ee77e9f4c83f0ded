package kernel

import (
	"encoding/json"
	"os/user"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gofrs/uuid/v5"
)

// session makes the messages of one kernel process.
type session struct {
	signer
	id       string
	username string
	serial   atomic.Uint64
}

func newSession(key string) (*session, error) {
	id, err := uuid.NewV4()
	if err != nil {
		return nil, err
	}
	return &session{signer: signer{key: []byte(key)}, id: id.String(), username: username()}, nil
}

// username is for people to read; a host may well not know it.
func username() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "kernel"
}

func (s *session) header(msgType string) header {
	return header{
		MsgID:    s.id + "_" + strconv.FormatUint(s.serial.Add(1), 10),
		Session:  s.id,
		Username: s.username,
		Date:     timestamp(time.Now()),
		MsgType:  msgType,
		Version:  protocolVersion,
	}
}

func timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// frames is a new message from the delimiter on.
func (s *session) frames(msgType string, parent, metadata json.RawMessage, content any) ([][]byte, error) {
	body, err := encodeJSON(content)
	if err != nil {
		return nil, err
	}
	return encodeMessage(s.signer, s.header(msgType), parent, metadata, body)
}
