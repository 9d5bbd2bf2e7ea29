"""The `kubesvc` command: data on stdout, everything for a person on stderr."""
