// Package stats holds the statistics of a comparison of search policies: ranks
// in a finite space, what random sampling would have reached there, tests and
// intervals.
//
// The ground is Ranking, all values of a finite space in order. It answers
// where a value stands (Rank, Ties, MidRank, Percentile) and what chance alone
// does: MeanPercentileNull is the exact distribution of the mean percentile of
// n uniform draws, BestOf the one of the best of k draws.
//
//	r, _ := stats.NewRanking(accuracies, true)
//	null, _ := r.MeanPercentileNull(10)
//	p := null.PAtLeast(meanPercentile)   // one-sided, ties counted
//	d, _ := null.SmallestDetectable(0.05) // what ten runs could have shown
//
// Of two samples there are MannWhitney, Welch, Permutation and CliffsDelta, and Bootstrap
// for intervals; Holm adjusts for several policies. VarianceComponents tells the deviation
// over searches from that over trainings, NoiseCeiling what repeats of the truth agree on,
// Anytime how runs stood as they went on.
//
// RankPool is the evaluation of a ranking by shared weights against the truth, with
// Agree for the trivial baselines that it must beat and StillRising for the question
// whether it was trained long enough to be judged.
//
// Conventions, everywhere in the package:
//   - rank 1 is the best; a rank is 1 + the number of strictly better cells;
//     cells of equal value share it and stand on average at their mid-rank;
//   - percentile = 100 (1 - (midrank - 1) / N), so 100 is a best cell that
//     shares its value with none;
//   - what is undefined is an error that says why, or in a report a Number
//     that is not defined; a NaN is only ever a missing value of an input, or
//     a missing rank of MidRanks, for figures;
//   - standard deviations are those of a sample (divided by n - 1) for
//     measured runs and those of the distribution for exact ones;
//   - randomness comes from an rng.Stream that the caller names, so an
//     interval is the same on every run, and on other processors up to the
//     rounding of elementary functions.
package stats
