def job_entry(events, collectives, stragglers, traffic):
    return {"ranks": events.ranks}
