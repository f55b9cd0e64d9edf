"""ERF, the record format of Endace cards."""
