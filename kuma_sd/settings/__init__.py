"""Settings: read from flags, environment variables and file, validated, with the origin of each value."""
