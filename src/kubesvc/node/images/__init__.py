"""The built-in images: programs that need no registry, run by forking."""
