package cpu

import "evalnas/nasapi/nn"

// places appends where each logical channel lies among the padded ones.
func places(to []int, channels nn.Channels) []int {
	begin := 0
	for _, width := range channels {
		for c := range width {
			to = append(to, begin+c)
		}
		begin += nn.Pad(width)
	}
	return to
}
