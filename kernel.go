package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"evalnas/kernel"
	"evalnas/kernel/commands"
	"evalnas/kernel/starlark"
)

// newKernelCommand is what Jupyter starts.
func newKernelCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "kernel CONNECTION-FILE",
		Short: "Serve a notebook (Jupyter starts this)",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runKernel(cmd.Context(), args[0], verbose)
		},
	}
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log every message to standard error")
	return cmd
}

func runKernel(ctx context.Context, connectionFile string, verbose bool) error {
	if ctx == nil {
		ctx = context.Background() // the command was not started with a context
	}
	// Jupyter starts a kernel in the notebook's folder.
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	env := commands.NewEnv(dir)
	defer env.Close()
	history, err := kernel.HistoryFile()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cells are not kept for later sessions:", err)
	}
	cfg := kernel.Config{
		ConnectionFile: connectionFile,
		Language:       newLanguage(env),
		Version:        version,
		OwnProcess:     true,
		HistoryFile:    history,
	}
	if verbose {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return kernel.Run(ctx, cfg)
}

// newLanguage is the language of the cells with the commands, for one notebook.
func newLanguage(env *commands.Env) *starlark.Interpreter {
	return starlark.New(starlark.Options{Dir: env.Dir, Commands: env.Commands(), Version: version})
}
