package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"evalnas/install"
	"evalnas/kernel"
	"evalnas/nasapi"
)

// placeOptions are the flags that say which kernelspec is meant.
type placeOptions struct {
	target install.Target
	name   string
}

func (o *placeOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.target.User, "user", false, "the user's own kernels (the default)")
	f.BoolVar(&o.target.SysPrefix, "sys-prefix", false, "the active Python environment ($VIRTUAL_ENV, else $CONDA_PREFIX)")
	f.StringVar(&o.target.Prefix, "prefix", "", "below this `folder`, in share/jupyter/kernels")
	f.StringVar(&o.name, "name", install.DefaultName, "the kernel's `name`: a-z, 0-9, '.', '_' and '-'")
}

// kernelsDir resolves the place. An explicitly empty prefix is a variable that
// a script forgot to set, not a wish for the default.
func (o *placeOptions) kernelsDir(f *pflag.FlagSet, env install.Env) (string, error) {
	if f.Changed("prefix") && o.target.Prefix == "" {
		return "", errors.New("--prefix is empty; give a folder, or leave the flag out")
	}
	if f.Changed("name") && o.name == "" {
		return "", install.CheckName(o.name)
	}
	return env.KernelsDir(o.target)
}

type installOptions struct {
	placeOptions
	displayName string
	env         []string
	copy        bool
	json        bool
}

func (o *installOptions) AddFlags(f *pflag.FlagSet) {
	o.placeOptions.AddFlags(f)
	f.StringVar(&o.displayName, "display-name", install.DefaultDisplayName, "the `name` that Jupyter shows")
	f.StringArrayVar(&o.env, "env", nil, "set `KEY=VALUE` in the kernel's environment; may be repeated")
	f.BoolVar(&o.copy, "copy", false, "keep a copy of this program with the kernelspec, and start that")
	f.BoolVar(&o.json, "json", false, "write the outcome as JSON")
}

func newInstallCommand() *cobra.Command {
	var o installOptions
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Make the kernel known to Jupyter",
		Long: `Make the kernel known to Jupyter by writing a kernelspec, for the user unless
--sys-prefix or --prefix says otherwise. An older kernelspec of this program is
replaced; another kernel's is never touched. No Python is needed.`,
		Example: `  evalnas install
  evalnas install --sys-prefix
  evalnas install --name evalnas-debug --env EVALNAS_STUDY=/scratch/study`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runInstall(cmd, &o)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func runInstall(cmd *cobra.Command, o *installOptions) error {
	env, err := install.HostEnv()
	if err != nil {
		return err
	}
	dir, err := o.kernelsDir(cmd.Flags(), env)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	variables, err := install.ParseEnv(o.env)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	exe, err := executable()
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	done, err := install.Install(dir, install.Spec{
		Name: o.name, DisplayName: o.displayName, Executable: exe,
		Env: variables, Version: nasapi.Version, Copy: o.copy,
	})
	if err != nil {
		return err
	}
	if o.json {
		return writeIndented(cmd.OutOrStdout(), done)
	}
	return sayInstalled(cmd, done)
}

func sayInstalled(cmd *cobra.Command, done *install.Installed) error {
	for _, w := range done.Warnings {
		if _, err := fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w); err != nil {
			return err
		}
	}
	what := "installed"
	if done.Replaced {
		what = "replaced"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s kernel %q in %s\nit starts %s; evalnas doctor checks it\n",
		what, done.Name, done.Dir, done.Argv[0])
	return err
}

func executable() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return filepath.Abs(exe)
}

func writeIndented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func newUninstallCommand() *cobra.Command {
	var o placeOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove the kernel from Jupyter",
		Long: `Remove a kernelspec that evalnas install wrote, from the same place that the
same flags name there. Studies and results stay.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runUninstall(cmd, &o, asJSON)
		},
	}
	o.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the outcome as JSON")
	return cmd
}

func runUninstall(cmd *cobra.Command, o *placeOptions, asJSON bool) error {
	env, err := install.HostEnv()
	if err != nil {
		return err
	}
	dir, err := o.kernelsDir(cmd.Flags(), env)
	if err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	removed, err := install.Uninstall(dir, o.name, env.SearchPath(env.ActivePrefix()))
	if err != nil {
		return err
	}
	if asJSON {
		return writeIndented(cmd.OutOrStdout(), map[string]string{"name": o.name, "removed": removed})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed kernel %q: %s\n", o.name, removed)
	return err
}

// errUnwell ends evalnas doctor when a check failed. The report has said why.
var errUnwell = errors.New("doctor: a check failed")

func newDoctorCommand() *cobra.Command {
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the installation, from Jupyter down to one executed cell",
		Long: `Check the installation: find Jupyter, read the kernelspecs that it would use,
start the kernel and run one cell in it, and see which GPUs there are. One line a
check: ok, warn or fail, and what to do. The exit status is 0 unless a check failed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := newDoctor(name)
			if err != nil {
				return err
			}
			return runDoctor(cmd.Context(), d, cmd.OutOrStdout(), asJSON)
		},
	}
	cmd.Flags().StringVar(&name, "name", install.DefaultName, "the kernel's `name`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the report as JSON")
	return cmd
}

func newDoctor(name string) (install.Doctor, error) {
	if err := install.CheckName(name); err != nil {
		return install.Doctor{}, fmt.Errorf("doctor: %w", err)
	}
	env, err := install.HostEnv()
	if err != nil {
		return install.Doctor{}, err
	}
	exe, err := executable()
	if err != nil {
		return install.Doctor{}, fmt.Errorf("doctor: %w", err)
	}
	return install.Doctor{Env: env, Name: name, Executable: exe, RunKernel: runKernelOnce, GPUs: describeGPUs}, nil
}

func runDoctor(ctx context.Context, d install.Doctor, out io.Writer, asJSON bool) error {
	ctx, stop := untilTerminated(ctx)
	defer stop()
	report := d.Examine(ctx)
	write := report.WriteText
	if asJSON {
		write = func(w io.Writer) error { return writeIndented(w, report) }
	}
	if err := write(out); err != nil {
		return err
	}
	if !report.OK {
		return errUnwell
	}
	return nil
}

// kernelPatience is how long doctor waits for a kernel that says nothing.
const kernelPatience = 30 * time.Second

func runKernelOnce(ctx context.Context, argv []string, cell string, encrypted bool) (*install.KernelRun, error) {
	ctx, cancel := context.WithTimeout(ctx, kernelPatience)
	defer cancel()
	p, err := kernel.Probe(ctx, kernel.Probing{Argv: argv, Cell: cell, Curve: encrypted})
	if err != nil {
		return nil, err
	}
	return &install.KernelRun{
		Implementation: p.Implementation, Version: p.Version, Protocol: p.Protocol, Language: p.Language,
		StartMS: milliseconds(p.Ready), CellMS: milliseconds(p.Cell), Result: p.Result,
	}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
