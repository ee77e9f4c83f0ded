package commands

import (
	lib "go.starlark.net/starlark"

	"evalnas/nasapi/jobs"
)

const provenanceDoc = "list of dicts, one for each job that is done: where its result came from (id, kind, numerics, seed, config, data, version, host, device, threads, started, ended, seconds, spent, waited)"

// provenance is all that the results of jobs say of themselves but the results.
func provenance(all []*jobs.Job) (lib.Value, error) {
	list := lib.NewList(nil)
	for _, j := range all {
		if j.Status().State != jobs.Done {
			continue
		}
		o, err := j.Outcome()
		if err != nil {
			return nil, err
		}
		v, err := toValue(struct {
			jobs.Outcome
			Result *struct{} `json:"result,omitempty"` // in the place of the Outcome's
		}{Outcome: o})
		if err != nil {
			return nil, err
		}
		if err := list.Append(v); err != nil {
			return nil, err
		}
	}
	return list, nil
}
