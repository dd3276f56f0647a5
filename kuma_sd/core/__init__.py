"""The nouns and the tools that every room uses; no input or output."""
