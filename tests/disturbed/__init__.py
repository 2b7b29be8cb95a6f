"""Reductions that are killed, meet errors of the disk, or share a folder.

Run as programs for many of them, such as

    python -m tests.disturbed.kills --times 100 --seed 1

In whatever way a reduction was disturbed, the next one has to end with the products,
the figures and the facts of an undisturbed one.
"""
