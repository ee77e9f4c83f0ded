package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// python is the interpreter of the peers.
func python() string {
	if p := os.Getenv("EVALNAS_PEER_PYTHON"); p != "" {
		return p
	}
	for _, p := range []string{filepath.Join(".venv", "bin", "python"), filepath.Join(".venv", "Scripts", "python.exe")} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return "python3"
}

// root is the top of the repository, found from the working directory.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "bench", "nasbench_twin.py")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run the benchmarks inside the repository: bench/nasbench_twin.py is not above the working directory")
		}
		dir = parent
	}
}

// peer is a Python process that answers JSON lines.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startPeer(ctx context.Context, script string) (*peer, error) {
	top, err := root()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(exec.CommandContext(ctx, python(), filepath.Join(top, "bench", script)))
	if err != nil {
		return nil, fmt.Errorf("starting the peer: %w (set EVALNAS_PEER_PYTHON to a Python with NumPy)", err)
	}
	return p, nil
}

func startProcess(cmd *exec.Cmd) (*peer, error) {
	cmd.Stderr = os.Stderr
	p := &peer{cmd: cmd}
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, cmd.Start()
}

// ask sends a request and decodes the answer.
func (p *peer) ask(request, answer any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	if err := p.answer(answer); err != nil {
		return fmt.Errorf("%w (the peer needs Python with NumPy; EVALNAS_PEER_PYTHON chooses one)", err)
	}
	return nil
}

// answer decodes the next line.
func (p *peer) answer(to any) error {
	reply, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s ended without an answer: %w", filepath.Base(p.cmd.Path), err)
	}
	return json.Unmarshal(reply, to)
}

func (p *peer) close() error {
	if err := p.in.Close(); err != nil {
		return err
	}
	return p.cmd.Wait()
}
