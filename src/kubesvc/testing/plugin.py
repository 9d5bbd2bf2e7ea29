"""The pytest plugin: the `kubesvc` fixture."""
