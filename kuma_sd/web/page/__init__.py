"""The status page: show the daemon's status, its published targets, and explanations of targets."""
