"""Sources joined to analyzers and sinks; files of rules and signatures are read here."""
