"""Failures, repairs and route changes whose time is known beforehand."""
