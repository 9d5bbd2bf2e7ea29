"""Where objects are kept: one revision counter, watch from a revision, durable writes.

`types` says what a store promises, in values alone, for those who decide; `sqlite` keeps it on one machine.
"""
