"""Shares of flows that all begin at once and stay as they are."""
