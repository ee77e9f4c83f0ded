package kernel

// The methods of a set. Where a set has no assembly of its own for a kernel, it runs
// the plain Go twin.

// Dense runs the kernel.
func (s Set) Dense(a *Dense) {
	if s == Generic {
		denseGeneric(a)
		return
	}
	denseAVX2(a)
}

// DenseGrad runs the kernel.
func (s Set) DenseGrad(a *DenseGrad) {
	if s == Generic {
		denseGradGeneric(a)
		return
	}
	denseGradAVX2(a)
}

// Depthwise runs the kernel.
func (s Set) Depthwise(a *Depthwise) {
	if s == Generic {
		depthwiseGeneric(a)
		return
	}
	depthwiseAVX2(a)
}

// DepthwiseGrad runs the kernel.
func (s Set) DepthwiseGrad(a *DepthwiseGrad) {
	if s == Generic {
		depthwiseGradGeneric(a)
		return
	}
	depthwiseGradAVX2(a)
}

func (s Set) MaxPool(a *MaxPool)         { maxPoolGeneric(a) }
func (s Set) MaxPoolGrad(a *MaxPoolGrad) { maxPoolGradGeneric(a) }
func (s Set) Affine(a *Affine)           { affineGeneric(a) }
func (s Set) AddScaled(a *AddScaled)     { addScaledGeneric(a) }
func (s Set) Moments(a *Moments)         { momentsGeneric(a) }
func (s Set) GradMoments(a *GradMoments) { gradMomentsGeneric(a) }
func (s Set) NormGrad(a *NormGrad)       { normGradGeneric(a) }
func (s Set) AddMasked(a *AddMasked)     { addMaskedGeneric(a) }
func (s Set) ScalePixels(a *ScalePixels) { scalePixelsGeneric(a) }
func (s Set) SGD(a *SGD)                 { sgdGeneric(a) }
