// Package nasapi is the Go API that the cells of a notebook speak. It knows
// nothing of Jupyter.
//
// The main things are
//
//   - a Search: one policy, space, objective and budget, run once for every
//     seed, each run a job of its own (StartSearch, AttachSearch);
//   - Found: an architecture together with where it came from (a search and
//     seed, or a draw);
//   - SampleRandom: the baseline of the paper, one uniform draw for each seed.
//
// Policies, spaces, objectives, jobs and statistics are in the sub-packages;
// package compare judges what was found. SearchHandler is what a worker process
// runs; start reading there (run.go) to see what one seed does.
package nasapi
