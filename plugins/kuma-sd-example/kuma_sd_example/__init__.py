"""An example plugin distribution for kuma-sd: an output and a transform, to copy."""
