package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"evalnas/kernel/wire"
)

// handler answers one request with the content of the reply.
type handler func(s *server, m *message) (object, error)

// shellHandlers are the requests that only ask; execute_request and messages
// without a reply are apart.
var shellHandlers = map[string]handler{
	"kernel_info_request": (*server).kernelInfo,
	"connect_request":     (*server).connectInfo,
	"complete_request":    (*server).complete,
	"inspect_request":     (*server).inspect,
	"is_complete_request": (*server).isComplete,
	"history_request":     (*server).historyReply,
	"comm_info_request":   (*server).commInfo,
}

// handleShell runs one request of the shell channel, on the executor.
func (s *server) handleShell(ctx context.Context, r request) {
	switch msgType := r.header.MsgType; msgType {
	case "execute_request":
		s.handleExecute(ctx, r)
	case "shutdown_request":
		s.handleShutdown(s.shell, r.message)
	case "comm_open", "comm_msg", "comm_close":
		s.handleComm(r.message)
	default:
		if handle, known := shellHandlers[msgType]; known {
			s.answer(s.shell, r.message, handle)
			return
		}
		s.handleUnknown(s.shell, r.message)
	}
}

// shellRequests and controlRequests are all that has a reply, as readers of an error see them.
var (
	shellRequests   = append(slices.Sorted(maps.Keys(shellHandlers)), "execute_request", "shutdown_request")
	controlRequests = append(slices.Sorted(maps.Keys(controlHandlers)), "shutdown_request")
)

// handleUnknown refuses a request that the channel does not have: whoever sent it may wait for
// the reply. Nobody waits for one to other messages.
func (s *server) handleUnknown(r *wire.Router, m *message) {
	channel, known, other, others := "shell", shellRequests, "control", controlRequests
	if r == s.control {
		channel, known, other, others = other, others, channel, known
	}
	s.log.Warn("unknown message", "type", m.header.MsgType, "channel", channel)
	if !strings.HasSuffix(m.header.MsgType, "_request") {
		return
	}
	s.answer(r, m, func(*server, *message) (object, error) {
		text := fmt.Sprintf("%q is not known on the %s channel, which has %s", m.header.MsgType, channel, strings.Join(known, ", "))
		if slices.Contains(others, m.header.MsgType) {
			text += "; send it on the " + other + " channel"
		}
		return nil, &CellError{Name: "ProtocolError", Value: text}
	})
}

// answer runs a handler between busy and idle.
func (s *server) answer(r *wire.Router, m *message, handle handler) {
	s.busy(m)
	content, err := s.guard(m, handle)
	if err != nil {
		content = errorContent(AsCellError(err))
	} else if _, set := content["status"]; !set {
		content["status"] = "ok"
	}
	s.reply(r, m, nil, content)
	s.idle(m)
}

// guard turns a panic into an error; the stack goes to the log.
func (s *server) guard(m *message, handle handler) (content object, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(s.log, m.header.MsgType, p)
		}
	}()
	return handle(s, m)
}

func panicked(log *slog.Logger, where string, p any) error {
	log.Error("panic", "in", where, "panic", p, "stack", string(debug.Stack()))
	return &CellError{
		Name:      "InternalError",
		Value:     fmt.Sprintf("%s: %v", where, p),
		Traceback: []string{fmt.Sprintf("InternalError: %s: %v", where, p), "This is a fault of the kernel; its log has the stack."},
	}
}

func (s *server) busy(m *message) {
	s.iopub.state("status", m.rawHeader, object{"execution_state": "busy"})
}

func (s *server) idle(m *message) {
	s.iopub.state("status", m.rawHeader, object{"execution_state": "idle"})
}

// reply answers m on its own channel. A client that has left is no fault.
func (s *server) reply(r *wire.Router, m *message, metadata json.RawMessage, content object) {
	msgType := strings.TrimSuffix(m.header.MsgType, "_request") + "_reply"
	frames, err := s.session.frames(msgType, m.rawHeader, metadata, content)
	if err != nil {
		s.log.Error("reply not sent", "type", msgType, "error", err)
		return
	}
	s.sendTo(r, m.ids, msgType, frames)
}

func (s *server) sendTo(r *wire.Router, ids [][]byte, msgType string, frames [][]byte) {
	routed := append(append([][]byte{}, ids...), frames...)
	if err := r.Send(routed); err != nil {
		s.log.Debug("message not sent", "type", msgType, "error", err)
	}
}

// AsCellError is what a reader of a notebook is told of any error.
func AsCellError(err error) *CellError {
	var cell *CellError
	if errors.As(err, &cell) {
		return cell
	}
	return &CellError{Name: "InternalError", Value: err.Error(), Traceback: []string{"InternalError: " + err.Error()}}
}

func errorContent(e *CellError) object {
	traceback := e.Traceback
	if traceback == nil {
		traceback = []string{e.Error()}
	}
	return object{"status": "error", "ename": e.Name, "evalue": e.Value, "traceback": traceback}
}

// decode reads a request's content; the error is for the client.
func decode(m *message, into any) error {
	if !isObject(m.content) {
		return &CellError{Name: "ProtocolError", Value: m.header.MsgType + ": the content is not a JSON object"}
	}
	if err := unmarshal(m.content, into); err != nil {
		return &CellError{Name: "ProtocolError", Value: fmt.Sprintf("%s: %v", m.header.MsgType, err)}
	}
	return nil
}
