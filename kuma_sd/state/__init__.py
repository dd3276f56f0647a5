"""The last good targets of each control plane, on disk."""
