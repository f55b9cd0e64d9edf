def recognise(channels, transfers, counters, queue_pairs):
    return None
