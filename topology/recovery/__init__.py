"""Recovery schemes: who learns of a failure when, and which route it stops using."""
