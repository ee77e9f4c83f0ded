// Package kerneltest has what tests of a kernel need: a tiny language
// (Language), and a client that speaks the protocol (Client).
package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"evalnas/kernel"
)

// Command runs one line of a cell.
type Command func(ctx context.Context, cell *kernel.Cell, arg string) (*kernel.Bundle, error)

// Language is a fake whose cells are lines of a command and its argument. The
// zero value knows:
//
//	print TEXT, warn TEXT     a line on stdout, stderr
//	value TEXT                the cell's value
//	error NAME TEXT           fails
//	crash TEXT                panics
//	block                     waits for an interrupt
//	show ID TEXT              a display
//	update ID TEXT            an update of it
//	clear                     clear_output
//	ask PROMPT                prints the answer
//	page TEXT                 long help
//	exit                      has the front end leave
//	flood N                   N lines on stdout, one call each
//	megabytes N               N displays of 1 MiB
type Language struct {
	// Commands are further commands, or replace the ones above.
	Commands map[string]Command

	mu     sync.Mutex
	closed bool
}

var builtin = map[string]Command{
	"print": func(_ context.Context, c *kernel.Cell, arg string) (*kernel.Bundle, error) {
		c.Out.Stream("stdout", arg+"\n")
		return nil, nil
	},
	"warn": func(_ context.Context, c *kernel.Cell, arg string) (*kernel.Bundle, error) {
		c.Out.Stream("stderr", arg+"\n")
		return nil, nil
	},
	"value": func(_ context.Context, _ *kernel.Cell, arg string) (*kernel.Bundle, error) {
		return kernel.TextBundle(arg), nil
	},
	"error": func(_ context.Context, _ *kernel.Cell, arg string) (*kernel.Bundle, error) {
		name, text, _ := strings.Cut(arg, " ")
		return nil, &kernel.CellError{Name: name, Value: text, Traceback: []string{"line 1", name + ": " + text}}
	},
	"crash": func(_ context.Context, _ *kernel.Cell, arg string) (*kernel.Bundle, error) {
		panic(arg)
	},
	"block": func(ctx context.Context, _ *kernel.Cell, _ string) (*kernel.Bundle, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	},
	"show": func(_ context.Context, c *kernel.Cell, arg string) (*kernel.Bundle, error) {
		id, text, _ := strings.Cut(arg, " ")
		c.Out.Display(kernel.TextBundle(text), id)
		return nil, nil
	},
	"update": func(_ context.Context, c *kernel.Cell, arg string) (*kernel.Bundle, error) {
		id, text, _ := strings.Cut(arg, " ")
		c.Out.UpdateDisplay(kernel.TextBundle(text), id)
		return nil, nil
	},
	"clear": func(_ context.Context, c *kernel.Cell, _ string) (*kernel.Bundle, error) {
		c.Out.Clear(true)
		return nil, nil
	},
	"ask": func(ctx context.Context, c *kernel.Cell, arg string) (*kernel.Bundle, error) {
		answer, err := c.Out.Input(ctx, arg, false)
		if err != nil {
			return nil, err
		}
		c.Out.Stream("stdout", answer+"\n")
		return nil, nil
	},
	"page": func(_ context.Context, c *kernel.Cell, arg string) (*kernel.Bundle, error) {
		c.Out.Page(kernel.TextBundle(arg))
		return nil, nil
	},
	"exit": func(_ context.Context, c *kernel.Cell, _ string) (*kernel.Bundle, error) {
		c.Out.Exit()
		return nil, nil
	},
	"flood": func(_ context.Context, c *kernel.Cell, arg string) (*kernel.Bundle, error) {
		n, err := strconv.Atoi(arg)
		for i := range n {
			c.Out.Stream("stdout", fmt.Sprintln("line", i))
		}
		return nil, err
	},
	"megabytes": func(_ context.Context, c *kernel.Cell, arg string) (*kernel.Bundle, error) {
		n, err := strconv.Atoi(arg)
		for range n {
			c.Out.Display(kernel.TextBundle(strings.Repeat("x", 1<<20)), "")
		}
		return nil, err
	},
}

// Info implements kernel.Language.
func (l *Language) Info() kernel.LanguageInfo {
	return kernel.LanguageInfo{Name: "fake", Version: "1.0", MIMEType: "text/x-fake", FileExtension: ".fake",
		PygmentsLexer: "text", CodeMirrorMode: "python", NbconvertExporter: "script"}
}

// Execute implements kernel.Language.
func (l *Language) Execute(ctx context.Context, cell *kernel.Cell, code string) (*kernel.Bundle, error) {
	var value *kernel.Bundle
	for line := range strings.Lines(code) {
		name, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		run, ok := l.Commands[name]
		if !ok {
			run, ok = builtin[name]
		}
		if !ok {
			return nil, &kernel.CellError{Name: "NameError", Value: "no command " + name}
		}
		var err error
		if value, err = run(ctx, cell, arg); err != nil {
			return nil, err
		}
	}
	return value, nil
}

// Evaluate implements kernel.Language: an expression's value is its text in
// capitals, and bad fails.
func (l *Language) Evaluate(_ context.Context, _ *kernel.Cell, expr string) (*kernel.Bundle, error) {
	switch expr {
	case "bad":
		return nil, &kernel.CellError{Name: "NameError", Value: expr}
	case "crash":
		panic(expr)
	}
	return kernel.TextBundle(strings.ToUpper(expr)), nil
}

// Complete implements kernel.Language: names of commands, for the word before
// the cursor.
func (l *Language) Complete(code string, cursor int) kernel.Completion {
	start := strings.LastIndexAny(code[:cursor], " \n") + 1
	c := kernel.Completion{Start: start, End: cursor}
	for _, name := range []string{"print", "page", "panic"} {
		if strings.HasPrefix(name, code[start:cursor]) {
			c.Matches = append(c.Matches, kernel.Match{Text: name, Type: "function", Signature: "(text)"})
		}
	}
	return c
}

// Inspect implements kernel.Language: it knows the word print.
func (l *Language) Inspect(code string, cursor, detail int) *kernel.Bundle {
	start := strings.LastIndexAny(code[:cursor], " \n") + 1
	if !strings.HasPrefix(code[start:], "print") || cursor-start > len("print") {
		return nil
	}
	return kernel.TextBundle(fmt.Sprintf("print TEXT (detail %d)", detail))
}

// IsComplete implements kernel.Language: a colon at the end wants more.
func (l *Language) IsComplete(code string) kernel.Completeness {
	switch {
	case strings.HasSuffix(code, ":"):
		return kernel.Completeness{Status: "incomplete", Indent: "    "}
	case strings.Contains(code, "?"):
		return kernel.Completeness{Status: "invalid"}
	}
	return kernel.Completeness{Status: "complete"}
}

// Close implements io.Closer.
func (l *Language) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("language closed twice")
	}
	l.closed = true
	return nil
}

// Closed says whether the kernel has closed the language.
func (l *Language) Closed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
