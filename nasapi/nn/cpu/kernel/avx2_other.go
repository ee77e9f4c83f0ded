//go:build !amd64

package kernel

// No set but Generic is available here, so none of these is called.
func denseAVX2(a *Dense)                 { denseGeneric(a) }
func denseGradAVX2(a *DenseGrad)         { denseGradGeneric(a) }
func depthwiseAVX2(a *Depthwise)         { depthwiseGeneric(a) }
func depthwiseGradAVX2(a *DepthwiseGrad) { depthwiseGradGeneric(a) }
