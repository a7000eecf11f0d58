"""Daemons: started, watched, started again, ended, and every change of it an event."""
