"""The flow-level engine: transfers as fluids with max-min fair rates, from event to event."""
