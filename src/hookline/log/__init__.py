"""The log: appending to it, reading it, following it, rotating it. See DESIGN.md in this folder."""
