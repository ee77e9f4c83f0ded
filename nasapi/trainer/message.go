package trainer

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Role is what a program is told that it is.
const Role = "trainer"

// Init is what a program is told at first.
type Init struct {
	Protocol     int            `json:"protocol"` // Run fills in this and Role
	Role         string         `json:"role"`
	Architecture Architecture   `json:"architecture"`
	Seed         int64          `json:"seed"`
	Data         *Data          `json:"data"` // null: the program brings its own
	Parameters   map[string]any `json:"parameters"`
	// Metrics are the names that its result must have.
	Metrics []string `json:"metrics"`
	Device  Device   `json:"device"`
	Folder  string   `json:"folder"` // the job's own, for files
	// Checkpoint is where it keeps what it goes on from; Resume, which Run fills in, says
	// that this is there.
	Checkpoint string `json:"checkpoint"`
	Resume     bool   `json:"resume"`
	// Debug asks for as little work as shows that all is well.
	Debug bool `json:"debug,omitempty"`
}

// Architecture is what is trained.
type Architecture struct {
	Space    string          `json:"space"`
	Hash     string          `json:"hash"`
	Cell     json.RawMessage `json:"cell"`
	Genotype string          `json:"genotype,omitempty"` // the literal of DARTS
	PyTorch  string          `json:"pytorch,omitempty"`  // path of a module
}

// Data is what it is trained on: a set that this program has, or a folder of the user's.
type Data struct {
	Name   string `json:"name"`
	Folder string `json:"folder,omitempty"`
	// File is an .npz with x_train, y_train, x_test and y_test; what follows describes it.
	File      string    `json:"file,omitempty"`
	Digest    string    `json:"digest,omitempty"`
	Train     int       `json:"train,omitempty"`
	Test      int       `json:"test,omitempty"`
	Height    int       `json:"height,omitempty"`
	Width     int       `json:"width,omitempty"`
	Channels  int       `json:"channels,omitempty"`
	Classes   int       `json:"classes,omitempty"`
	Mean      []float64 `json:"mean,omitempty"` // of the training images' channels, as Std on the scale of 0 to 1
	Std       []float64 `json:"std,omitempty"`
	Synthetic bool      `json:"synthetic,omitempty"`
}

// Device is what the job has to compute on.
type Device struct {
	Kind    string   `json:"kind"` // "cpu" or "cuda"
	GPUs    []string `json:"gpus"` // as CUDA_VISIBLE_DEVICES names them
	Threads int      `json:"threads"`
}

// Epoch is what a program says of one.
type Epoch struct {
	Epoch   int // from 1
	Metrics map[string]float64
}

// Result is what a program has trained.
type Result struct {
	Metrics    map[string]float64
	Parameters int64 // 0 if it did not say
	Epochs     int   // 0 if it did not say
	// Notes are what is odd and no failure.
	Notes []string
	// Restarts are how often the program was started again from its checkpoint.
	Restarts int
}

// Limits on what is kept of a program's words.
const (
	maxEpochs      = 10_000
	maxEpochBytes  = 4 << 20
	maxMetrics     = 100
	maxMetricName  = 64
	maxCountedSize = 1 << 50 // of what JSON numbers count exactly
)

// shares are the metrics that are shares of images.
var shares = []string{"train", "valid", "test"}

// WrongError says that a program did what no second attempt changes.
type WrongError struct{ Err error }

func (e *WrongError) Error() string { return e.Err.Error() }
func (e *WrongError) Unwrap() error { return e.Err }

// metricsOf reads metrics and refuses what they cannot be.
func metricsOf(said map[string]*float64, where string) (map[string]float64, error) {
	if len(said) > maxMetrics {
		return nil, fmt.Errorf("%s has %d metrics: at most %d are kept", where, len(said), maxMetrics)
	}
	all := make(map[string]float64, len(said))
	for name, v := range said {
		switch {
		case name == "" || len(name) > maxMetricName:
			return nil, fmt.Errorf("%s names a metric %.80q: names have 1 to %d bytes", where, name, maxMetricName)
		case v == nil || math.IsNaN(*v) || math.IsInf(*v, 0):
			return nil, fmt.Errorf("%s has no number for %q: leave out what was not measured", where, name)
		case slices.Contains(shares, name) && (*v < 0 || *v > 1):
			return nil, fmt.Errorf("%s says that %q is %v: %s are shares of images, 0 to 1 (not per cent)", where, name, *v, strings.Join(shares, ", "))
		}
		all[name] = *v
	}
	return all, nil
}

// The forms of what a program says.
type (
	progressBody struct{ Done, Total *int64 }
	epochBody    struct {
		Epoch   *int
		Metrics map[string]*float64
	}
	checkpointBody struct{ Epoch *int }
	resultBody     struct {
		Metrics    map[string]*float64
		Parameters *int64
		Epochs     *int
	}
)

const knownMessages = "progress, epoch, checkpoint, heartbeat and result"
