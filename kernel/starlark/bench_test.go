package starlark

import "testing"

// Cells are glue: these say what a loop, a call and a cell cost.
func BenchmarkCell(b *testing.B) {
	for _, bench := range []struct{ name, setup, code string }{
		{"empty", "", "1"},
		{"loop-top-100k", "", "t = 0\nfor i in range(100000): t += i"},
		{"loop-func-100k", "def f():\n  t = 0\n  for i in range(100000): t += i\n  return t", "f()"},
		{"multiply-func-100k", "def f(k):\n  t = 0\n  for i in range(100000): t = i * k\n  return t", "f(3)"},
		{"modulo-func-100k", "def f(k):\n  t = 0\n  for i in range(100000): t = i % 7\n  return t", "f(3)"},
		{"fib-20", "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)", "fib(20)"},
		{"fstring-10k", "x = 1.5", "for i in range(10000): f'{x:.3f} {i}'"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			nb := newNotebook(b, Options{})
			if _, err := nb.run(bench.setup); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := nb.run(bench.code); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
