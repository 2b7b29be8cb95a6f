"""How files of others are opened and parsed: nothing in them ends the command."""
