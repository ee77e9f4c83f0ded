package train

import (
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/net"
	"evalnas/nasapi/nn"
	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Speed is how long a protocol takes on a device.
type Speed struct {
	ImagesASecond float64       // while training
	Total         time.Duration // of all epochs with their evaluation
}

// measureBatch is how many images a measured step has at most, so that little memory
// is needed: a step takes about as long for each image whatever the batch is.
const measureBatch = 8

// evaluationShare is how long the evaluation of an image takes, of its training: a
// forward pass of three that a step is made of.
const evaluationShare = 1.0 / 3

// Measure times a step of a protocol on made-up pixels, after one that is not counted.
func Measure(dev nn.Device, arch space.Arch, cfg Config, shape data.Shape) (Speed, error) {
	n, err := net.New(dev, arch, cfg.Network(shape))
	if err != nil {
		return Speed{}, err
	}
	n.Initialise(0)
	pass, err := n.Build(nn.Train, max(2, min(cfg.Batch, measureBatch)))
	if err != nil {
		return Speed{}, err
	}
	if err := pass.Graph.Plan(); err != nil {
		return Speed{}, err
	}
	in := pass.Input.Values
	pixels, draw := make([]float32, in.N*in.Image()), rng.New(0, "measure")
	for i := range pixels {
		if i%in.Pix < in.Channels.Count() {
			pixels[i] = float32(draw.Float64() - 0.5)
		}
	}
	if err := pass.Graph.SetInput(pass.Input, pixels); err != nil {
		return Speed{}, err
	}
	opt := cfg.optimiser(n.Params())
	var took time.Duration
	for range 2 {
		began := time.Now()
		if err := pass.Graph.Forward(); err != nil {
			return Speed{}, err
		}
		if err := pass.Graph.Backward(); err != nil {
			return Speed{}, err
		}
		// The rate of 0 leaves the weights, so that nothing can diverge.
		if _, err := opt.Step(dev, 0); err != nil {
			return Speed{}, err
		}
		took = time.Since(began)
	}
	return cfg.speed(took/time.Duration(in.N), shape), nil
}

// speed is that of a protocol whose image takes so long in training.
func (c Config) speed(image time.Duration, shape data.Shape) Speed {
	train, valid, err := c.Split.Counts(shape.TrainN)
	if err != nil {
		train, valid = shape.TrainN, 0
	}
	if c.Batches > 0 {
		train = min(train, c.Batches*c.Batch)
	}
	tests := shape.TestN
	if c.TestEveryEpoch {
		tests *= c.Epochs
	}
	images := float64(c.Epochs)*(float64(train)+evaluationShare*float64(valid)) + evaluationShare*float64(tests)
	return Speed{ImagesASecond: 1 / image.Seconds(), Total: time.Duration(images * float64(image))}
}
