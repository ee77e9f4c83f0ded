package jobs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Schema is the newest version of the folder's format that this program reads,
// and the one that it writes.
const Schema = 1

var errNewer = fmt.Errorf("this version of evalnas knows 1 to %d: use a newer one", Schema)

// Spec says what a job computes: everything that a result depends on and
// nothing else (no threads, no device, no host). Equal Specs are one job.
//
// A field that is added later is left out of the JSON at its zero value, and
// so must be a new key of Config at the value that means the old behaviour:
// then jobs that were run before keep their ids.
type Spec struct {
	Schema   int             `json:"schema"`   // 0 means Schema
	Kind     string          `json:"kind"`     // names the Handler
	Numerics int             `json:"numerics"` // raised whenever a result can change
	Seed     int64           `json:"seed"`
	Config   json.RawMessage `json:"config"` // a JSON object; empty means {}
}

// Canonical returns the Spec as JSON with sorted keys, no blanks, no nulls in
// objects and numbers in one spelling (1, 1.0 and 1e0 are the same).
func (s Spec) Canonical() ([]byte, error) {
	if s.Kind == "" {
		return nil, errors.New("job spec has no kind: name the handler that runs it")
	}
	if s.Schema == 0 {
		s.Schema = Schema
	}
	if s.Schema < 0 || s.Schema > Schema {
		return nil, fmt.Errorf("job spec has schema %d: %w", s.Schema, errNewer)
	}
	config, err := canonicalObject(s.Config)
	if err != nil {
		return nil, fmt.Errorf("job spec's config: %w", err)
	}
	s.Config = config
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("job spec: %w", err)
	}
	return canonicalObject(plain)
}

// ID is the job's name: 20 hexadecimal digits of the SHA-256 of its canonical
// JSON. A Spec without canonical form (Submit refuses it) has the id "".
func (s Spec) ID() string {
	data, err := s.Canonical()
	if err != nil {
		return ""
	}
	return hash(data, 20)
}

func hash(data []byte, digits int) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:digits]
}

// file returns the content of job.json: the canonical form, indented.
func (s Spec) file() ([]byte, error) {
	data, err := s.Canonical()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// decodeSpec reads a job.json and checks that it belongs to the id: a flipped
// bit would otherwise run as another job under this one's name.
func decodeSpec(data []byte, id string) (Spec, error) {
	var s Spec
	if len(bytes.TrimSpace(data)) == 0 {
		return s, errors.New("job.json is empty: submit the job again to write it anew")
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("job.json is damaged (%v): submit the job again to write it anew", err)
	}
	if s.Schema > Schema {
		return s, fmt.Errorf("job.json has schema %d: %w", s.Schema, errNewer)
	}
	canonical, err := s.Canonical()
	if err != nil {
		return s, fmt.Errorf("job.json: %w", err)
	}
	if got := hash(canonical, 20); got != id {
		return s, fmt.Errorf("job.json was changed: it describes job %s, its folder is %s: submit the job again to write it anew", got, id)
	}
	return s, nil
}

// canonicalObject rewrites a JSON object with sorted keys, without blanks and
// nulls, and with numbers in one spelling.
func canonicalObject(data []byte) ([]byte, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return []byte("{}"), nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the object's end")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object: write {\"name\": value, ...}")
	}
	clean, err := normalise(object)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // sorts the keys of maps
	enc.SetEscapeHTML(false)
	if err := enc.Encode(clean); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func normalise(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if value == nil {
				delete(v, key)
				continue
			}
			clean, err := normalise(value)
			if err != nil {
				return nil, err
			}
			v[key] = clean
		}
		return v, nil
	case []any:
		for i, value := range v {
			clean, err := normalise(value)
			if err != nil {
				return nil, err
			}
			v[i] = clean
		}
		return v, nil
	case json.Number:
		return normaliseNumber(v)
	}
	return v, nil
}

// normaliseNumber keeps integers digit by digit (seeds need all 64 bits) and
// gives all others the shortest spelling of their float64.
func normaliseNumber(n json.Number) (any, error) {
	if !strings.ContainsAny(string(n), ".eE") && n != "-0" {
		return n, nil
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return nil, fmt.Errorf("number %s does not fit a 64-bit float", n)
	}
	if f == 0 {
		return json.Number("0"), nil // also for -0
	}
	if f == float64(int64(f)) && f > -1<<53 && f < 1<<53 {
		return json.Number(strconv.FormatInt(int64(f), 10)), nil
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
}
