"""A seeded world around the dispatcher's core: virtual time, and a disk that forgets."""
