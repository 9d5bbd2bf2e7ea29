"""Small asyncio parts without a Kubernetes word in them."""
