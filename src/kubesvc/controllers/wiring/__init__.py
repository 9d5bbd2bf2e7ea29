"""Each controller's wiring: which caches feed its queue, and how a key's inputs are read from them."""
