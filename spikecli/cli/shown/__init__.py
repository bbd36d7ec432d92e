"""Tables, phases and hints that commands share."""
