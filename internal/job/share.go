package job

// Share is what of a whole belongs to some of its slots, rounded down.
func Share(whole int64, slots, of int) int64 {
	if of < 1 || slots >= of {
		return whole
	}
	return whole/int64(of)*int64(slots) + whole%int64(of)*int64(slots)/int64(of)
}
