"""The stack on Docker: its secrets, starting and ending it, a look at it. Only Python's own library is imported."""
