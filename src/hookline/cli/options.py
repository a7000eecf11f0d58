"""Options that choose: none of them is empty."""

import argparse


def some(text: str) -> str:
    """The argument of an option that must say something.

    An empty one comes of a variable that is not set; taken for "whatever it is" it would choose
    everything.
    """
    if not text:
        raise argparse.ArgumentTypeError("is empty (is a variable not set?)")
    return text
