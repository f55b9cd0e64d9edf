"""GRE and the mirror formats that ride on it, ERSPAN I, II and III."""
