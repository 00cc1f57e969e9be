"""A leaderboard: entries that keep one set of rules, and can be checked.

board: rules and entries on disk; rules: what a run must keep; ranking: who is first, and why. These
three need no torch. facts: what a run really is; verification: is the loss of its checkpoint what it says.
"""
