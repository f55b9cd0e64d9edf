"""What acknowledgements, NAKs and repetitions say about loss."""
