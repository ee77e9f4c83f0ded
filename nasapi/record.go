package nasapi

import (
	"fmt"
	"slices"

	"evalnas/nasapi/jobs"
	"evalnas/nasapi/space"
)

// RecordSchema is the version of a Record's JSON form. Its MIME types are SearchMIME and
// TrainingMIME.
const (
	RecordSchema = 1
	SearchMIME   = "application/vnd.evalnas.search.v1+json"
	TrainingMIME = "application/vnd.evalnas.training.v1+json"
)

// Record is what a notebook keeps, beside its table, of a search or training that has
// ended: each run's result, and where it was computed.
type Record struct {
	Schema   int         `json:"schema"`
	Version  string      `json:"version"`
	Numerics int         `json:"numerics"`
	Engine   int         `json:"engine"`
	Devices  []string    `json:"devices"` // that computed the runs, each once
	Name     string      `json:"name"`    // the policy, or "training"
	Space    string      `json:"space,omitempty"`
	Guide    string      `json:"objective,omitempty"`
	Budget   int         `json:"budget,omitempty"`
	Oracle   bool        `json:"oracle,omitempty"`
	Reduced  string      `json:"reduced,omitempty"`
	Protocol string      `json:"protocol,omitempty"` // of a training
	Data     string      `json:"data,omitempty"`     // of a training: the images
	Runs     []RecordRun `json:"runs"`
}

// RecordRun is one job.
type RecordRun struct {
	Name  string     `json:"name"`
	Seed  int64      `json:"seed"`
	State jobs.State `json:"state"`
	Error string     `json:"error,omitempty"`
	Hash  string     `json:"hash,omitempty"`
	Arch  space.Arch `json:"architecture,omitempty"` // that a search selected
	// Value is the objective's of what was selected, Evaluations how many it took.
	Value       *float64 `json:"value,omitempty"`
	Evaluations int      `json:"evaluations,omitempty"`
	Valid       *float64 `json:"valid,omitempty"` // of a trained network
	Test        *float64 `json:"test,omitempty"`
}

// RecordOfSearch makes the record of a search as it stands.
func RecordOfSearch(s *Search) *Record {
	cfg := s.Config
	g := GroupOfSearch(s)
	r := newRecord(cfg.Policy, s.Jobs())
	r.Space, r.Guide, r.Budget, r.Oracle, r.Reduced = s.Space.String(), guideText(cfg.Objective, cfg.Objective.String()), cfg.Budget, g.Oracle, g.Reduced
	for _, run := range s.Runs() {
		row := RecordRun{Name: fmt.Sprintf("seed %d", run.Seed), Seed: run.Seed, State: run.Status.State, Error: run.Status.Error}
		if run.Found != nil {
			row.Hash, row.Arch, row.Evaluations = run.Found.Hash(), run.Found.Arch, run.Result.Evaluations
			row.Value = new(run.Result.Value)
		}
		r.Runs = append(r.Runs, row)
	}
	return r
}

// RecordOfTraining makes the record of a training as it stands; label names an
// architecture.
func RecordOfTraining(t *Training, label func(Found) string) *Record {
	r := newRecord("training", t.Jobs())
	r.Protocol, r.Data = t.ProtocolText(), t.DataText()
	for _, run := range t.Runs() {
		row := RecordRun{
			Name: fmt.Sprintf("%s (%s), training seed %d", label(run.Found), run.Hash(), run.TrainSeed),
			Seed: run.TrainSeed, State: run.Status.State, Error: run.Status.Error, Hash: run.Hash(),
		}
		if run.Result != nil {
			row.Valid, row.Test = run.Result.Valid, run.Result.Test
		}
		r.Runs = append(r.Runs, row)
	}
	return r
}

func newRecord(name string, all []*jobs.Job) *Record {
	r := &Record{Schema: RecordSchema, Version: Version, Numerics: Numerics, Engine: EngineNumerics, Name: name, Devices: []string{}, Runs: []RecordRun{}}
	for _, j := range all {
		// One that failed, or whose result cannot be read, has no device.
		if o, err := j.Outcome(); err == nil && !slices.Contains(r.Devices, o.Device) {
			r.Devices = append(r.Devices, o.Device)
		}
	}
	slices.Sort(r.Devices)
	return r
}
