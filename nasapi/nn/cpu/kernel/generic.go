package kernel

// The methods of a set. Where a set has no assembly of its own for a kernel, it runs
// the plain Go twin.

func (s Set) Dense(a *Dense)                 { denseGeneric(a) }
func (s Set) DenseGrad(a *DenseGrad)         { denseGradGeneric(a) }
func (s Set) Depthwise(a *Depthwise)         { depthwiseGeneric(a) }
func (s Set) DepthwiseGrad(a *DepthwiseGrad) { depthwiseGradGeneric(a) }
func (s Set) MaxPool(a *MaxPool)             { maxPoolGeneric(a) }
func (s Set) MaxPoolGrad(a *MaxPoolGrad)     { maxPoolGradGeneric(a) }
func (s Set) Affine(a *Affine)               { affineGeneric(a) }
func (s Set) AddScaled(a *AddScaled)         { addScaledGeneric(a) }
func (s Set) Moments(a *Moments)             { momentsGeneric(a) }
func (s Set) GradMoments(a *GradMoments)     { gradMomentsGeneric(a) }
func (s Set) NormGrad(a *NormGrad)           { normGradGeneric(a) }
func (s Set) AddMasked(a *AddMasked)         { addMaskedGeneric(a) }
func (s Set) ScalePixels(a *ScalePixels)     { scalePixelsGeneric(a) }
func (s Set) SGD(a *SGD)                     { sgdGeneric(a) }
