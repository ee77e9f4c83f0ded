package kernel

// The methods of a set.

// Dense runs the kernel.
func (s Set) Dense(a *Dense) {
	if s == Generic {
		denseGeneric(a)
		return
	}
	denseAssembly(s, a)
}

// DenseGrad runs the kernel.
func (s Set) DenseGrad(a *DenseGrad) {
	if s == Generic {
		denseGradGeneric(a)
		return
	}
	denseGradAssembly(s, a)
}

// Depthwise runs the kernel.
func (s Set) Depthwise(a *Depthwise) {
	if s == Generic {
		depthwiseGeneric(a)
		return
	}
	depthwiseAssembly(s, a)
}

// DepthwiseGrad runs the kernel.
func (s Set) DepthwiseGrad(a *DepthwiseGrad) {
	if s == Generic {
		depthwiseGradGeneric(a)
		return
	}
	depthwiseGradAssembly(s, a)
}

// MaxPool runs the kernel.
func (s Set) MaxPool(a *MaxPool) {
	if s == Generic {
		maxPoolGeneric(a)
		return
	}
	maxPoolAssembly(s, a)
}

// MaxPoolGrad runs the kernel.
func (s Set) MaxPoolGrad(a *MaxPoolGrad) {
	if s == Generic {
		maxPoolGradGeneric(a)
		return
	}
	maxPoolGradAVX2(a)
}

// Affine runs the kernel.
func (s Set) Affine(a *Affine) {
	if s == Generic {
		affineGeneric(a)
		return
	}
	affineAVX2(a)
}

// AddScaled runs the kernel.
func (s Set) AddScaled(a *AddScaled) {
	if s == Generic {
		addScaledGeneric(a)
		return
	}
	addScaledAVX2(a)
}

// Moments runs the kernel.
func (s Set) Moments(a *Moments) {
	if s == Generic {
		momentsGeneric(a)
		return
	}
	momentsAVX2(a)
}

// GradMoments runs the kernel.
func (s Set) GradMoments(a *GradMoments) {
	if s == Generic {
		gradMomentsGeneric(a)
		return
	}
	gradMomentsAVX2(a)
}

// NormGrad runs the kernel.
func (s Set) NormGrad(a *NormGrad) {
	if s == Generic {
		normGradGeneric(a)
		return
	}
	normGradAVX2(a)
}

// AddMasked runs the kernel.
func (s Set) AddMasked(a *AddMasked) {
	if s == Generic {
		addMaskedGeneric(a)
		return
	}
	addMaskedAVX2(a)
}

// ScalePixels runs the kernel.
func (s Set) ScalePixels(a *ScalePixels) {
	if s == Generic {
		scalePixelsGeneric(a)
		return
	}
	scalePixelsAVX2(a)
}

// SGD runs the kernel.
func (s Set) SGD(a *SGD) {
	if s == Generic {
		sgdGeneric(a)
		return
	}
	sgdAVX2(a)
}

// SumSquares is the sum of the squares of x: eight partial sums by index, joined in
// pairs.
func (s Set) SumSquares(x []float32) float64 {
	var sums [8]float64
	if s == Generic {
		sumSquaresGeneric(&sums, x)
	} else {
		sumSquaresAVX2(&sums, x)
	}
	return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
}

// Add adds x to dst, element by element.
func (s Set) Add(dst, x []float32) {
	if s == Generic {
		addGeneric(dst, x)
		return
	}
	addAVX2(dst, x)
}
