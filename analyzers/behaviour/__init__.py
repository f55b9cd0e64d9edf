"""What a flow does, told from sizes and times alone (DFI): never from ports, never from payload."""
