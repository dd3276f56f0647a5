"""Plugins that come with kuma-sd. They import its public API only, like those of strangers."""
