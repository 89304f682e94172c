"""The `.litertlm` format, read with the standard library alone.

All commands use `info.read_bundle_info(path)`; `header.read_header` gives the sections alone.
Importing flatbuffers and protobuf would take longer than everything else that a short answer does
in Python. So both wire formats are parsed here, in time linear in the size of the input.
"""
