//go:build !amd64

package kernel

// No set but Generic is available here, so none of these is called.
func denseAssembly(_ Set, a *Dense)                 { denseGeneric(a) }
func denseGradAssembly(_ Set, a *DenseGrad)         { denseGradGeneric(a) }
func depthwiseAssembly(_ Set, a *Depthwise)         { depthwiseGeneric(a) }
func depthwiseGradAssembly(_ Set, a *DepthwiseGrad) { depthwiseGradGeneric(a) }
func affineAVX2(a *Affine)                          { affineGeneric(a) }
func addScaledAVX2(a *AddScaled)                    { addScaledGeneric(a) }
func momentsAVX2(a *Moments)                        { momentsGeneric(a) }
func gradMomentsAVX2(a *GradMoments)                { gradMomentsGeneric(a) }
func normGradAVX2(a *NormGrad)                      { normGradGeneric(a) }
func addMaskedAVX2(a *AddMasked)                    { addMaskedGeneric(a) }
func scalePixelsAVX2(a *ScalePixels)                { scalePixelsGeneric(a) }
func maxPoolAssembly(_ Set, a *MaxPool)             { maxPoolGeneric(a) }
func maxPoolGradAVX2(a *MaxPoolGrad)                { maxPoolGradGeneric(a) }
func sgdAVX2(a *SGD)                                { sgdGeneric(a) }
func addAVX2(dst, x []float32)                      { addGeneric(dst, x) }
func sumSquaresAVX2(sums *[8]float64, x []float32)  { sumSquaresGeneric(sums, x) }
