"""The functions of manual/ run on symbols: what they compute is then a formula, and can be
proven.
"""
