def diagnose(events, collective, segments):
    return None
