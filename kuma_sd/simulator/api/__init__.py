"""The API of a simulated control plane: the same world as over MADS, in the format of Kuma's API server."""
