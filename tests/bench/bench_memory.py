"""The worker's memory must not grow with the file: 3,000,000 contacts, once, beside the 1,000,000."""

from bench.harness import CONTACTS, Bench

_LARGE = "Bench large"
#: How far two peaks of the same work lie apart.
_NOISE = 1.1


def measure(bench: Bench) -> None:
    """Measure the peak and the speed at three times the size."""
    base = bench.imported()
    large = bench.run(bench.sealed("large", bench.size(3 * CONTACTS)), _LARGE, "new_list_only")
    bench.drop_list(_LARGE)
    bench.figures.add("worker_peak_3m_mb", large.peak_mb, "MiB", limit=512)
    bench.figures.add("worker_peak_growth", large.peak_mb / base.peak_mb, "times", limit=_NOISE)
    bench.figures.add("import_3m_s", large.seconds, "s")
