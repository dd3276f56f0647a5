"""Settings: read from flags, environment and file, checked, and each value's origin known."""
