"""The controllers: pure functions that say what to change, and one shell that changes it.

Informers feed keys into queues; a key's inputs are read from the caches; `reconcile(inputs)` returns
`Change` values; the shell applies them through the API and waits until it sees its own writes.
"""
