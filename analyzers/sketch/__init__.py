"""Histograms with logarithmic buckets: how percentiles are kept in bounded memory."""
