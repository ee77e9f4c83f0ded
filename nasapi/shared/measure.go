package shared

import (
	"context"
	"errors"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/policy"
	"evalnas/nasapi/space"
)

// Speed is how long a protocol takes on a device.
type Speed struct {
	ImagesASecond float64       // of one path, while training
	Params        int64         // of the supernet
	Total         time.Duration // of all epochs and rankings; what the policy itself validates is not in it
}

const (
	// measureBatch is how many images a measured step has at most: a step takes about as
	// long for each image whatever the batch is.
	measureBatch = 16
	// measureSteps are made, or as many as fit in measureTime: paths differ in size.
	measureSteps = 12
	measureTime  = 1500 * time.Millisecond
	// evaluationShare is what the evaluation of an image takes, of its training.
	evaluationShare = 1.0 / 3
)

// errMeasured ends a training that was only measured.
var errMeasured = errors.New("measured")

// Measure times some steps of a policy on made-up images of the shape of its set. search is
// the policy's Search; what it does besides training is not timed.
func Measure(ctx context.Context, dev nn.Device, policyName string, sp space.Space, cfg Config, shape data.Shape, search func(context.Context, policy.Weights) error) (Speed, error) {
	small := cfg
	small.Batch, small.ValidBatch = max(2, min(cfg.Batch, measureBatch)), max(2, min(cfg.ValidBatch, measureBatch))
	small.Epochs, small.Pool, small.RankImages, small.FineTune = 1, 0, 0, 0
	small.Split = data.Split{TrainN: small.Batch * measureSteps, ValidN: max(small.Batch, small.ValidBatch)}
	set, err := data.Synthetic(data.SyntheticSpec{
		TrainN: small.Split.TrainN + small.Split.ValidN, TestN: shape.Classes, H: shape.H, W: shape.W, C: shape.C, Classes: shape.Classes,
	})
	if err != nil {
		return Speed{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t, err := New(Job{Device: dev, Space: sp, Policy: policyName, Data: set, Config: small, Save: func([]byte) error { return nil }, Every: time.Hour})
	if err != nil {
		return Speed{}, err
	}
	var began, last time.Time
	images := 0
	t.Report = func(p Progress) {
		if last = time.Now(); began.IsZero() { // the first step makes what all use
			began = last
			return
		}
		images += small.Batch
		if p.Step == p.Steps || last.Sub(began) > measureTime {
			stop(errMeasured)
		}
	}
	if err := search(ctx, t); err != nil && !errors.Is(context.Cause(ctx), errMeasured) {
		return Speed{}, err
	}
	image := last.Sub(began) / time.Duration(max(1, images))
	s := Speed{ImagesASecond: 1 / max(image.Seconds(), 1e-9), Params: countParams(t.net.Params())}
	s.Total = time.Duration(cfg.images(shape, t) * float64(image))
	return s, nil
}

// images is how many images a training costs, rankings counted as what they take of it.
func (c Config) images(shape data.Shape, t *Trainer) float64 {
	train, valid, err := c.Split.Counts(shape.TrainN)
	if err != nil {
		train, valid = shape.TrainN, 0
	}
	rankings := 0
	for epoch := range c.Epochs {
		if c.savePoint(epoch) {
			rankings++
		}
	}
	each := c.RankImages
	if each == 0 {
		each = valid
	}
	pool := len(Pool(t.Space, c.Pool))
	if c.FineTune > 0 {
		rankings++
	}
	trained := float64(c.Epochs)*float64(train/c.Batch*c.Batch) + float64(pool)*float64(c.FineTune)*float64(c.Batch)
	return trained + evaluationShare*float64(rankings)*float64(pool)*float64(each)
}
