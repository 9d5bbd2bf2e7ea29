"""What the sockets measure per query, kept as plain numbers and turned into histograms on demand."""

# CoreDNS's buckets, so that its dashboards read ours.
DURATION_BUCKETS = tuple(0.00025 * 2**n for n in range(16))
SIZE_BUCKETS = (0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16000, 32000, 48000, 64000)


class Meter:
    """Durations in seconds, sizes in bytes. One per answering process."""

    def __init__(self) -> None:
        self.fast = 0  # answered within the first bucket: nearly all
        self.slow = [0] * (len(DURATION_BUCKETS) + 1)
        self.seconds = 0.0
        self.request_sizes: dict[int, int] = {}
        self.response_sizes: dict[int, int] = {}
        self.panics = 0
        self.unsent = 0

    def measure(self, seconds: float, request: int, response: int) -> None:
        """Count one answered query."""
        self.seconds += seconds
        if seconds < 0.00025:
            self.fast += 1
        else:
            self.slow[
                next((n for n, edge in enumerate(DURATION_BUCKETS) if seconds <= edge), len(DURATION_BUCKETS))
            ] += 1
        sizes = self.request_sizes
        sizes[request] = sizes.get(request, 0) + 1
        sizes = self.response_sizes
        sizes[response] = sizes.get(response, 0) + 1

    def duration_counts(self) -> list[int]:
        """Queries per bucket of DURATION_BUCKETS, the last one for all above."""
        return [self.slow[0] + self.fast, *self.slow[1:]]


def size_counts(sizes: dict[int, int]) -> list[int]:
    """Messages per bucket of SIZE_BUCKETS, the last one for all above."""
    counts = [0] * (len(SIZE_BUCKETS) + 1)
    for size, count in sizes.items():
        counts[next((n for n, edge in enumerate(SIZE_BUCKETS) if size <= edge), len(SIZE_BUCKETS))] += count
    return counts
