package nasapi

import (
	"errors"
	"strings"
	"testing"
	"time"

	"evalnas/nasapi/jobs"
)

func TestTimeBetweenCheckpoints(t *testing.T) {
	for text, want := range map[string]time.Duration{"": time.Minute, "90s": 90 * time.Second, "5m": 5 * time.Minute, "0s": 0} {
		t.Setenv(CheckpointVariable, text)
		if got, err := checkpointEvery(); err != nil || got != want {
			t.Errorf("%q is %v: %v", text, got, err)
		}
	}
	for _, text := range []string{"often", "30", "-1s"} {
		t.Setenv(CheckpointVariable, text)
		if _, err := checkpointEvery(); !errors.Is(err, jobs.ErrConfig) || !strings.Contains(err.Error(), CheckpointVariable+" is \""+text+"\"") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
