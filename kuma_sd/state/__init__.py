"""Save the last good targets of each control plane on disk, and read them back."""
