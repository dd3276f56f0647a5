"""Plugins that come with kuma-sd. Like third-party plugins, they import only its public API."""
