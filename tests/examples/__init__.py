"""Example inputs that several areas' tests share."""
