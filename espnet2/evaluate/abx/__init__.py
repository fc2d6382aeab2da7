"""ABX discrimination of phones, within and across speakers."""
