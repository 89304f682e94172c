"""The inference engine: a protocol, and its implementation with litert_lm.

The only package that imports litert_lm.
"""
