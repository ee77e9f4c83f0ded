package gpu

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Offer finds the GPUs that jobs on this host may be given. It does not touch the
// driver where the user wants none, so a broken one stands in nobody's way.
func Offer(ctx context.Context) ([]GPU, error) {
	if n, err := limit(os.LookupEnv); err != nil || n == 0 {
		return nil, err
	}
	present, err := Find(ctx)
	if err != nil {
		return nil, err
	}
	return Offered(present, os.LookupEnv)
}

// Offered returns which GPUs of those present jobs may be given, as the
// environment says (lookup is os.LookupEnv):
//
//   - CUDA_VISIBLE_DEVICES lists GPUs by index, UUID or the beginning of one, in
//     the order of preference, as for any CUDA program. Empty, -1 and the words
//     that SLURM and others write for none mean none.
//   - EVALNAS_GPUS is how many of these at most: a number, none or all.
//
// A GPU that is listed but is not there is an error. CUDA would pass over it, and
// over all after it, without a word.
func Offered(present []GPU, lookup func(name string) (string, bool)) ([]GPU, error) {
	most, err := limit(lookup)
	if err != nil || most == 0 || len(present) == 0 {
		return nil, err
	}
	offered := present
	if list, set := lookup("CUDA_VISIBLE_DEVICES"); set {
		if offered, err = visible(present, list); err != nil {
			return nil, err
		}
	}
	return slices.Clone(offered[:min(most, len(offered))]), nil
}

// limit reads EVALNAS_GPUS.
func limit(lookup func(string) (string, bool)) (int, error) {
	const all = 1 << 10
	text, _ := lookup("EVALNAS_GPUS")
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "all":
		return all, nil
	case "none":
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 || n > all {
		return 0, fmt.Errorf("EVALNAS_GPUS is %q: set it to how many GPUs jobs may use at most, 0 to %d, or to none or all; CUDA_VISIBLE_DEVICES says which ones", text, all)
	}
	return n, nil
}

// none are the words that mean no GPU: CUDA's own, SLURM's for a job without
// any, and those of the container tools.
var none = []string{"", "-1", "nodevfiles", "none", "void"}

// visible applies CUDA_VISIBLE_DEVICES. The list ends where none is named, as in CUDA.
func visible(present []GPU, list string) ([]GPU, error) {
	if strings.EqualFold(strings.TrimSpace(list), "all") { // the container tools' word
		return present, nil
	}
	var chosen []GPU
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if slices.Contains(none, strings.ToLower(word)) {
			break
		}
		g, err := pick(present, word)
		if err != nil {
			return nil, fmt.Errorf("CUDA_VISIBLE_DEVICES is %q: %w", list, err)
		}
		if !slices.ContainsFunc(chosen, func(c GPU) bool { return c.id() == g.id() }) {
			chosen = append(chosen, g)
		}
	}
	return chosen, nil
}

// pick finds the GPU that one word of the list means.
func pick(present []GPU, word string) (GPU, error) {
	if strings.HasPrefix(word, "MIG-") {
		return part(present, word), nil
	}
	var meant []GPU
	for _, g := range present {
		if word == strconv.Itoa(g.Index) || strings.HasPrefix(word, "GPU-") && strings.HasPrefix(g.UUID, word) {
			meant = append(meant, g)
		}
	}
	if len(meant) == 1 {
		return meant[0], nil
	}
	what := fmt.Sprintf("no GPU here is %q", word)
	if len(meant) > 1 {
		what = fmt.Sprintf("%d GPUs begin with %q", len(meant), word)
	}
	return GPU{}, fmt.Errorf("%s; there are %s: list them by index or UUID, or set it to -1 for none", what, names(present))
}

// part is a part of a split GPU. The driver lists whole ones only, so it is
// taken as given: "MIG-" and a UUID of its own, or with older drivers
// "MIG-", the UUID of the whole, and two numbers.
func part(present []GPU, word string) GPU {
	p := GPU{UUID: word, Name: "part of a split GPU"}
	for _, whole := range present {
		if whole.UUID != "" && strings.HasPrefix(word, "MIG-"+whole.UUID+"/") {
			p.Index, p.Name = whole.Index, "part of "+whole.Name
		}
	}
	return p
}

func names(gpus []GPU) string {
	var list []string
	for _, g := range gpus {
		list = append(list, strings.TrimSuffix(fmt.Sprintf("%d = %s", g.Index, g.UUID), " = "))
	}
	return strings.Join(list, ", ")
}
