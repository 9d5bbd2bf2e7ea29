"""The process runtime: pods as namespaces and processes of this machine, each pod under a shim of its own."""
