package nasapi

// Version is the release, set when the binary is linked.
var Version = "dev"

// Numerics counts the changes after which the same configuration and seed can
// give other results. It is part of every job's id, so results of different
// numerics are never mixed. Raise it with every change that can alter a draw,
// a decision of a policy or an evaluated number.
const Numerics = 1

// EngineNumerics is the same for what the engine computes, the trainings: 2 since chunks of
// images with gradients of weights have two images.
const EngineNumerics = 2
