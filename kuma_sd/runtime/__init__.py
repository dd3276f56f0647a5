"""From settings to running objects."""
