"""Data types and tools that all packages use; no input or output."""
