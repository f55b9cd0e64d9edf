"""Rings of any size: steps in which no rate changes are not walked through one by one."""
