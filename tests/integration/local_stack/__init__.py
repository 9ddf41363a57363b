"""The stack as processes of this machine, each in a session of its own, on free ports of 127.0.0.1."""
