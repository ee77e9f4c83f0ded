package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	// settleQuiet and settleLimit are for the wait before the reply of a
	// failed cell, see requests.settle.
	settleQuiet = 10 * time.Millisecond
	settleLimit = 250 * time.Millisecond
)

// execution is the cell that runs, if one does. It is what an interrupt acts
// on, from any goroutine.
type execution struct {
	mu     sync.Mutex
	cancel context.CancelFunc
}

func (e *execution) begin(ctx context.Context) context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	ctx, e.cancel = context.WithCancel(ctx)
	return ctx
}

func (e *execution) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cancel()
	e.cancel = nil
}

// interrupt ends the running cell's context. Between cells it does nothing.
func (e *execution) interrupt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cancel != nil {
		e.cancel()
	}
}

// executeRequest is the content of an execute_request.
type executeRequest struct {
	Code            string            `json:"code"`
	Silent          bool              `json:"silent"`
	StoreHistory    *bool             `json:"store_history"` // missing: not silent
	UserExpressions map[string]string `json:"user_expressions"`
	AllowStdin      *bool             `json:"allow_stdin"`   // missing: true
	StopOnError     *bool             `json:"stop_on_error"` // missing: true
}

func orDefault(b *bool, otherwise bool) bool {
	if b == nil {
		return otherwise
	}
	return *b
}

func (r executeRequest) stores() bool { return !r.Silent && orDefault(r.StoreHistory, true) }

// handleExecute runs a cell, or aborts it if it was sent before a cell ahead
// of it failed.
func (s *server) handleExecute(ctx context.Context, r request) {
	if r.arrival <= s.abortBefore {
		s.busy(r.message)
		s.reply(s.shell, r.message, nil, object{"status": "aborted", "execution_count": s.count})
		s.idle(r.message)
		return
	}
	running := s.running.begin(ctx) // before anybody can know: an interrupt may follow at once
	s.awaitAudience(running, r.message)
	started := timestamp(time.Now())
	s.busy(r.message)
	reply, stop := s.runCell(running, r.message)
	if running.Err() != nil {
		s.iopub.hasten(r.message.rawHeader)
	}
	if stop {
		s.requests.settle(ctx, settleQuiet, settleLimit)
		s.abortBefore = s.requests.mark()
	}
	s.running.end()
	s.finishCell(r.message, started, reply)
}

// finishCell sends the reply and then idle, when all output is on its way.
func (s *server) finishCell(m *message, started string, reply object) {
	// The limits of servers may make it long, which an interrupt ends.
	err := s.iopub.flush(s.running.begin(context.Background()))
	s.running.end()
	if errors.Is(err, context.Canceled) {
		s.iopub.hasten(m.rawHeader)
		err = s.iopub.flush(context.Background())
	}
	if err != nil {
		s.log.Warn("reply sent before all output", "error", err)
	}
	status, _ := reply["status"].(string)
	metadata, err := encodeJSON(object{"started": started, "status": status, "dependencies_met": true})
	if err != nil {
		s.log.Error("reply without metadata", "error", err)
	}
	s.reply(s.shell, m, metadata, reply)
	s.iopub.end(m.rawHeader)
}

// runCell executes a request. stop says that the requests behind it are to be
// aborted.
func (s *server) runCell(ctx context.Context, m *message) (reply object, stop bool) {
	var req executeRequest
	if err := decode(m, &req); err != nil {
		reply := errorContent(AsCellError(err))
		reply["execution_count"] = s.count
		if !req.Silent { // where it was readable
			s.publishError(m.rawHeader, err)
		}
		return reply, true
	}
	if req.stores() {
		s.count++
	}
	cell, out := s.newCell(ctx, m, req)
	if !req.Silent {
		s.iopub.state("execute_input", m.rawHeader, object{"code": req.Code, "execution_count": s.count})
		s.iopub.begin(m.rawHeader, s.served.Load() || orDefault(req.AllowStdin, true))
	}
	if req.stores() {
		s.history.add(s.count, req.Code)
	}
	err := s.evaluateCell(ctx, cell, out, req)
	reply = s.cellReply(ctx, cell, out, req, err)
	return reply, err != nil && orDefault(req.StopOnError, true)
}

// evaluateCell runs the code and publishes its value or its error.
func (s *server) evaluateCell(ctx context.Context, cell *Cell, out *output, req executeRequest) error {
	value, err := s.protect(ctx, "execute_request", func() (*Bundle, error) {
		return s.lang.Execute(ctx, cell, req.Code)
	})
	if err == nil && value != nil && !req.Silent {
		err = out.result(value)
		if text, ok := value.Data["text/plain"].(string); ok && req.stores() {
			s.history.setOutput(s.count, text)
		}
	}
	if err != nil && !req.Silent {
		s.publishError(out.parent, err)
	}
	return err
}

// publishError shows an error where the cell's output is.
func (s *server) publishError(parent json.RawMessage, err error) {
	content := errorContent(AsCellError(err))
	delete(content, "status")
	s.iopub.state("error", parent, content)
}

// protect calls into the language: the only place where its panics and its
// bare context errors can come from.
func (s *server) protect(ctx context.Context, where string, f func() (*Bundle, error)) (*Bundle, error) {
	return Protect(ctx, s.log, where, f)
}

// Protect calls into a language on behalf of where. A panic and an error that is
// only that ctx has ended become *CellErrors; other errors stay as they are.
func Protect(ctx context.Context, log *slog.Logger, where string, f func() (*Bundle, error)) (b *Bundle, err error) {
	defer func() {
		if p := recover(); p != nil {
			b, err = nil, panicked(log, where, p)
		}
		var cell *CellError
		if err != nil && ctx.Err() != nil && !errors.As(err, &cell) {
			err = &CellError{Name: "KeyboardInterrupt", Value: err.Error(), Traceback: []string{"KeyboardInterrupt: " + err.Error()}}
		}
	}()
	return f()
}

func (s *server) cellReply(ctx context.Context, cell *Cell, out *output, req executeRequest, err error) object {
	reply := object{"status": "ok"}
	if err != nil {
		reply = errorContent(AsCellError(err))
	} else {
		reply["user_expressions"] = s.userExpressions(ctx, cell, req.UserExpressions)
	}
	reply["execution_count"] = s.count
	reply["payload"] = out.payloads()
	return reply
}

func (s *server) userExpressions(ctx context.Context, cell *Cell, expressions map[string]string) object {
	values := object{}
	for name, expr := range expressions {
		b, err := s.protect(ctx, "user expression "+name, func() (*Bundle, error) {
			return s.lang.Evaluate(ctx, cell, expr)
		})
		content := bundleContent(b)
		content["status"] = "ok"
		if err == nil {
			_, err = encodeJSON(content)
		}
		if err != nil {
			content = errorContent(AsCellError(err))
		}
		values[name] = content
	}
	return values
}

func (s *server) newCell(ctx context.Context, m *message, req executeRequest) (*Cell, *output) {
	out := &output{s: s, ctx: ctx, parent: m.rawHeader, ids: m.ids,
		count: s.count, silent: req.Silent, allowStdin: orDefault(req.AllowStdin, true)}
	cell := &Cell{Count: s.count, Silent: req.Silent, Out: out}
	if string(m.metadata) != "{}" {
		cell.Metadata = json.RawMessage(m.metadata)
	}
	return cell, out
}
