"""Other libraries' names for what Callsheet does: change the import, keep the program."""
